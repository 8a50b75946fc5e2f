"""The functions that printed NumPy code calls: each is pasted, as it stands here, above the code that needs it.

They are written to be read. Images are [batch, spatial..., channel], kernels [spatial..., channel in, channel out].
"""
# What is pasted shall read like a lecture's code, without strict= and types.
# ruff: noqa: B905
# pyright: reportArgumentType=false

import itertools

import numpy as np


def sigmoid(z):
    """1 / (1 + e^-z), without overflow."""
    decay = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, decay) / (1 + decay)


def relu(z):
    """max(0, z)."""
    return np.maximum(z, 0)


def softplus(z):
    """log(1 + e^z), without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z, axis=-1):
    """e^z_i / sum_k e^z_k."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))  # without the maximum, e^z would overflow
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(z, axis=-1):
    """The logarithm of softmax, exact where softmax underflows."""
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def one_hot(y, classes):
    """A row for each class number: True at the class, False elsewhere."""
    return y[..., None] == np.arange(classes)


def cross_entropy(z, y):
    """-log y_hat_y of each sample, where y_hat = softmax(z) and y holds class numbers."""
    return -np.take_along_axis(log_softmax(z), y[..., None], axis=-1)[..., 0]


def cross_entropy_of_rows(z, y):
    """-sum_k y_k log y_hat_k of each sample, where y_hat = softmax(z) and the rows of y add up to 1."""
    return -(y * log_softmax(z)).sum(axis=-1)


def binary_cross_entropy(z, y):
    """-(y log y_hat + (1 - y) log(1 - y_hat)), where y_hat = sigmoid(z)."""
    return y * softplus(-z) + (1 - y) * softplus(z)


def windows(x, size, strides=None, pads=None, dilation=None, fill=0):
    """Every window of some images: [batch, position..., channel, offset...]; nothing but the padding is copied."""
    rank = len(size)
    strides, dilation = strides or (1,) * rank, dilation or (1,) * rank
    x = np.pad(x, ((0, 0), *(pads or ((0, 0),) * rank), (0, 0)), constant_values=fill)
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(1, 1 + rank)))
    every = [slice(None, None, s) for s in strides]
    taps = [slice(None, None, d) for d in dilation]
    return view[(slice(None), *every, slice(None), *taps)]


def conv(x, w, strides=None, pads=None, dilation=None, groups=1):
    """out[n, p, d] = sum over offsets k and channels c of x[n, p + k, c] w[k, c, d]."""
    rank = w.ndim - 2
    axes = [*range(rank + 2, 2 * rank + 2), rank + 1], [*range(rank), rank]
    parts = zip(np.split(x, groups, axis=-1), np.split(w, groups, axis=-1))
    return np.concatenate(
        [np.tensordot(windows(a, b.shape[:rank], strides, pads, dilation), b, axes) for a, b in parts], axis=-1
    )


def conv_kernel_gradient(x, g, shape, strides=None, pads=None, dilation=None, groups=1):
    """dL/dw[k, c, d] = sum over images n and positions p of x[n, p + k, c] g[n, p, d]."""
    rank = len(shape) - 2
    over = list(range(rank + 1))  # images and positions
    parts = []
    for a, b in zip(np.split(x, groups, axis=-1), np.split(g, groups, axis=-1)):
        product = np.tensordot(windows(a, shape[:rank], strides, pads, dilation), b, (over, over))
        parts.append(np.moveaxis(product, 0, rank))  # [channel, offset..., d] -> [offset..., channel, d]
    return np.concatenate(parts, axis=-1)


def conv_input_gradient(g, w, shape, strides=None, pads=None, dilation=None, groups=1):
    """dL/dx: every offset k of the kernel sends g w[k]^T back to where it looked."""
    rank = w.ndim - 2
    strides, pads = strides or (1,) * rank, pads or ((0, 0),) * rank
    dilation = dilation or (1,) * rank
    padded = np.zeros((shape[0], *(s + a + b for s, (a, b) in zip(shape[1:-1], pads)), shape[-1]), g.dtype)
    for k in itertools.product(*map(range, w.shape[:rank])):
        seen = [slice(i * d, i * d + (p - 1) * s + 1, s) for i, d, p, s in zip(k, dilation, g.shape[1:-1], strides)]
        parts = zip(np.split(g, groups, axis=-1), np.split(w[k], groups, axis=-1))
        padded[(slice(None), *seen)] += np.concatenate([a @ b.T for a, b in parts], axis=-1)
    return padded[(slice(None), *(slice(a, a + s) for s, (a, _) in zip(shape[1:-1], pads)))]


def max_pool_winners(x, size, strides=None, pads=None):
    """Where in its image, counted row by row, the largest element of each window lies; of equal ones the first."""
    rank, strides = len(size), strides or size
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    view = windows(x, size, strides, pads, fill=lowest)
    winner = view.reshape(*view.shape[: rank + 2], np.prod(size)).argmax(axis=-1)
    # NumPy 2.4 gets many windows of one channel wrong unless they lie in one row (numpy#31980).
    offsets = [offset.reshape(winner.shape) for offset in np.unravel_index(winner.ravel(), size)]
    place = np.zeros_like(offsets[0])
    for axis, (offset, length) in enumerate(zip(offsets, x.shape[1:-1])):
        start = np.arange(view.shape[1 + axis]) * strides[axis] - (pads[axis][0] if pads else 0)
        start = start.reshape([-1 if i == 1 + axis else 1 for i in range(rank + 2)])
        place = place * length + np.clip(start + offset, 0, length - 1)
    return place


def max_pool(x, size, strides=None, pads=None):
    """The largest element of each window and channel."""
    place = max_pool_winners(x, size, strides, pads)
    rows = (len(x), -1, x.shape[-1])  # each image as one column of pixels per channel
    return np.take_along_axis(x.reshape(rows), place.reshape(rows), axis=1).reshape(place.shape)


def max_pool_gradient(g, x, size, strides=None, pads=None):
    """dL/dx: each window's gradient goes to its largest element alone."""
    place = max_pool_winners(x, size, strides, pads).reshape(len(x), -1, x.shape[-1])
    pixels = np.prod(x.shape[1:-1], dtype=int)
    return add_along_axis(g.reshape(place.shape), place, pixels, axis=1).reshape(x.shape)


def window_sum(x, size, strides=None, pads=None):
    """The sum of each window and channel."""
    return windows(x, size, strides or size, pads).sum(axis=tuple(range(-len(size), 0)), dtype=x.dtype)


def window_spread(g, shape, size, strides=None, pads=None):
    """The transpose of window_sum: each window's gradient goes to all of its elements."""
    strides, pads = strides or size, pads or ((0, 0),) * len(size)
    padded = np.zeros((shape[0], *(s + a + b for s, (a, b) in zip(shape[1:-1], pads)), shape[-1]), g.dtype)
    for k in itertools.product(*map(range, size)):
        seen = [slice(i, i + (p - 1) * s + 1, s) for i, p, s in zip(k, g.shape[1:-1], strides)]
        padded[(slice(None), *seen)] += g
    return padded[(slice(None), *(slice(a, a + s) for s, (a, _) in zip(shape[1:-1], pads)))]


def scatter_add(g, index, size, axis=0):
    """Zeros of that size along an axis; each slice of g is added at its index: the transpose of x[index]."""
    out = np.zeros((*g.shape[:axis], size, *g.shape[axis + index.ndim :]), g.dtype)
    np.add.at(out, (*(slice(None),) * axis, index), g)
    return out


def add_along_axis(g, index, size, axis):
    """Zeros of that size along an axis; each element of g is added at its index: the transpose of taking there."""
    out = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    place = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    place[axis] = index
    np.add.at(out, tuple(place), g)
    return out


def pad(x, low, high, between):
    """Zeros before, after and between the elements of each axis."""
    shape = [a + n + max(n - 1, 0) * d + b for a, n, d, b in zip(low, x.shape, between, high)]
    out = np.zeros(shape, x.dtype)
    out[
        tuple(slice(a, a + max(n - 1, 0) * (d + 1) + 1 if n else a, d + 1) for a, n, d in zip(low, x.shape, between))
    ] = x
    return out


def philox(counter, key):
    """Four random words for each counter of four (Philox 4x32-10; Salmon, Moraes, Dror, Shaw 2011)."""
    a, b, c, d = counter
    k0, k1 = int(key[0]), int(key[1])
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (q >> half) ^ b ^ np.uint64(k0), q & low, (p >> half) ^ d ^ np.uint64(k1), p & low
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return a, b, c, d


def random_bits(key, shape):
    """Random uint32 numbers that depend on the key and their place alone."""
    count = int(np.prod(shape))
    block = np.arange(-(-count // 4), dtype=np.uint64)
    zero = np.zeros_like(block)
    words = philox((block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), zero, zero), key)
    return np.stack(words, axis=1).reshape(-1)[:count].astype(np.uint32).reshape(shape)


def random_uniform(key, shape, dtype=np.float32):
    """Random numbers in [0, 1)."""
    if dtype == np.float32:
        return (random_bits(key, shape) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    high, low = np.moveaxis(random_bits(key, (*shape, 2)).astype(np.uint64), -1, 0)
    return ((high << np.uint64(32) | low) >> np.uint64(11)) * 2.0**-53


def random_key(seed):
    """The key of a seed: its two halves of 32 bits."""
    return seed % 2**32, seed // 2**32 % 2**32


def fold_in(key, number):
    """The key of a step or of a layer, from a key and its number."""
    zero = np.uint64(0)
    words = philox((np.uint64(number), zero, zero, np.uint64(1)), key)
    return np.array(words[:2], np.uint32)
