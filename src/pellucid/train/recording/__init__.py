"""Recording: what happens inside a network while it is trained, kept as tables.

Two tables are recorded at level ``"stats"``. ``"steps"`` has a row per recorded step:

==================  =======  =======================================================================================
column              type     meaning
==================  =======  =======================================================================================
step                int64    number of the update, from 1; it goes on from fit to fit, as ``optimizer.iterations`` does
epoch               int64    from 1, as in ``history.csv``
loss                float64  loss of the batch with penalties, before the update
learning_rate       float64
gradient_norm       float64  Euclidean norm of all gradients together, before clipping and weight decay
==================  =======  =======================================================================================

``"stats"`` has a row per recorded step, layer, quantity and name:

==================  =======  =======================================================================================
column              type     meaning
==================  =======  =======================================================================================
step, epoch         int64    as above
layer               string   the layer's label; ``"outer/inner"`` for layers in layers
kind                string   the layer's class
function            string   name of its activation function, ``""`` where it has none
quantity            string   see below
name                string   of a parameter: ``"kernel"``; of a part of a recurrent layer: ``"forget gate"``; else
                             ``""``, or ``"2"``, ``"3"`` ... for the further calls of a shared layer and further outputs
mean, std           float64  over all elements; std divides by their number
min, max            float64
zeros               float64  share of elements that are exactly 0, from 0 to 1
saturated           float64  of activations of the functions below: share of elements where f' is zero or nearly so
dead                float64  of them too: share of units (channels: the last axis) that are saturated for all samples
norm                float64  Euclidean norm
ratio               float64  of updates: ||w_new - w|| / ||w||; null where ||w|| = 0, or where it is not a number
==================  =======  =======================================================================================

=================  ==============================================================================================
quantity           meaning
=================  ==============================================================================================
activation         a, the layer's output [batch, ...]
preactivation      z, what the layer's activation function is applied to (Dense and convolutions, unless it is linear)
delta              dL/dz where there is a z, else dL/da; L is the loss of the batch
weight             a parameter, before the update
gradient           dL/dw, before clipping and weight decay
update             w_new - w
=================  ==============================================================================================

An activation is saturated where a < 0.01 or a > 0.99 (sigmoid, hard_sigmoid, softmax), where |a| > 0.98 (tanh,
softsign), and where a = 0 (relu). Layers before the first trainable parameter have no delta: training computes none;
nor has an ``Activation`` or ``Softmax`` layer around which the loss is computed, as cross-entropy is from the logits:
its dL/dz is the delta of the layer before.

Recurrent layers have rows for the parts of their cell, each over all time steps [batch, time, units] in the order in
which they are read: of an LSTM ``"forget gate"``, ``"input gate"``, ``"candidate"``, ``"cell state"``,
``"output gate"`` and ``"hidden state"``, of a GRU ``"update gate"``, ``"reset gate"``, ``"candidate"`` and
``"hidden state"``, of a SimpleRNN the ``"hidden state"``. Where a part has no activation function of its own, delta is
dL/da. A gate is dead where it is saturated for all samples and time steps.

Level ``"full"`` records both tables, and the arrays themselves.
"""

from pellucid.train.recording.frames import Recording
from pellucid.train.recording.probe import Probe, Readout
from pellucid.train.recording.recorder import Recorder, Timetable
from pellucid.train.recording.session import Session

__all__ = ["Probe", "Readout", "Recorder", "Recording", "Session", "Timetable"]
