"""The band-split RNN written down band by band: what the tests and the benchmark compare sepkit's with.

Straight from the paper's text, in the shapes of the public layout's weights if
`norm_frames` is given: one norm, linear map and perceptron a band, one call each.
"""

import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear(size, 2 * size)

    def forward(self, x):
        value, gate = self.linear(x).chunk(2, -1)
        return value * torch.sigmoid(gate)


class Layer(nn.Module):
    def __init__(self, features, hidden, groups):
        super().__init__()
        self.groupnorm = nn.GroupNorm(groups, features)
        self.rnn = nn.LSTM(features, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, features)

    def forward(self, x):  # (batch, sequence, N)
        y = self.groupnorm(x.transpose(1, 2)).transpose(1, 2)
        return x + self.fc(self.rnn(y)[0])


class Perceptron(nn.Module):
    def __init__(self, features, mlp, size, gated):
        super().__init__()
        last = (
            [nn.Linear(mlp, size), Gate(size)] if gated else [nn.Linear(mlp, 2 * size), nn.GLU(-1)]
        )
        self.mlp = nn.Sequential(nn.Linear(features, mlp), nn.Tanh(), *last)

    def forward(self, x):
        return self.mlp(x)


class Reference(nn.Module):
    """Mask of a spectrogram (B, C, F, L), one band after the other."""

    def __init__(self, widths, channels, features, hidden, layers, mlp, norm_frames=None):
        super().__init__()
        self.widths, self.frames = widths, norm_frames
        sizes = [2 * channels * width for width in widths]
        fixed = [norm_frames] if norm_frames else []
        split, masks, rnn = nn.Module(), nn.Module(), nn.Module()
        split.layernorms = nn.ModuleList(nn.LayerNorm([size, *fixed]) for size in sizes)
        split.fcs = nn.ModuleList(nn.Linear(size, features) for size in sizes)
        groups = features if norm_frames else 1
        rnn.bsrnn = nn.ModuleList(
            nn.ModuleList(Layer(features, hidden, groups) for _ in range(2)) for _ in range(layers)
        )
        masks.layernorms = nn.ModuleList(nn.LayerNorm([*fixed, features]) for _ in sizes)
        masks.mlp = nn.ModuleList(
            Perceptron(features, mlp, size, bool(norm_frames)) for size in sizes
        )
        self.bandsplit, self.bandsequence, self.maskest = split, rnn, masks

    def encode(self, spectrum):
        """(B, C, F, L) to (B, K, L, N)."""
        out = []
        for band, norm, fc in zip(
            spectrum.split(self.widths, 2), self.bandsplit.layernorms, self.bandsplit.fcs
        ):
            x = torch.view_as_real(band).permute(0, 1, 4, 2, 3).flatten(1, 3)  # (B, C 2 F_k, L)
            x = norm(x).transpose(1, 2) if self.frames else norm(x.transpose(1, 2))
            out.append(fc(x))
        return torch.stack(out, 1)

    def sequence(self, x):
        """(B, K, L, N) to the same."""
        batch, bands, frames, features = x.shape
        for over_time, over_bands in self.bandsequence.bsrnn:
            x = over_time(x.reshape(batch * bands, frames, features)).view(
                batch, bands, frames, features
            )
            y = x.transpose(1, 2).reshape(batch * frames, bands, features)
            x = over_bands(y).view(batch, frames, bands, features).transpose(1, 2)
        return x

    def decode(self, x, channels):
        """(B, K, L, N) to (B, C, F, L), complex."""
        out = []
        for k, (norm, mlp) in enumerate(zip(self.maskest.layernorms, self.maskest.mlp)):
            y = mlp(norm(x[:, k])).transpose(1, 2)  # (B, C 2 F_k, L)
            y = y.unflatten(1, (channels, 2, self.widths[k])).permute(0, 1, 3, 4, 2)
            out.append(torch.view_as_complex(y.contiguous()))
        return torch.cat(out, 2)

    def forward(self, spectrum):
        return self.decode(self.sequence(self.encode(spectrum)), spectrum.shape[1])


def take_weights(reference, model):
    """Copy the weights of a `sepkit` BSRNN of the paper's layout into a `Reference` for it."""
    channels = 1 if model.settings["stereo"] == "independent" else model.channels
    with torch.no_grad():
        for g, (width, bands) in enumerate(model.encoder.groups):
            for i, k in enumerate(bands):
                # ours are ordered (channel, bin, part); the reference's (channel, part, bin)
                order = [
                    (c * width + b) * 2 + p
                    for c in range(channels)
                    for p in range(2)
                    for b in range(width)
                ]
                both = order + [o + len(order) for o in order]
                norm, fc = reference.bandsplit.layernorms[k], reference.bandsplit.fcs[k]
                norm.weight.copy_(model.encoder.norms[g].weight[i, 0][..., order].squeeze(0))
                norm.bias.copy_(model.encoder.norms[g].bias[i, 0][..., order].squeeze(0))
                fc.weight.copy_(model.encoder.maps[g].weight[i][order].T)
                fc.bias.copy_(model.encoder.maps[g].bias[i, 0])
                last = reference.maskest.mlp[k].mlp[2]
                last.weight.copy_(model.decoder.output[g].weight[i][:, both].T)
                last.bias.copy_(model.decoder.output[g].bias[i, 0][both])
                norm, first = reference.maskest.layernorms[k], reference.maskest.mlp[k].mlp[0]
                norm.weight.copy_(model.decoder.norms[g].weight[i].flatten())
                norm.bias.copy_(model.decoder.norms[g].bias[i].flatten())
                first.weight.copy_(model.decoder.hidden[g].weight[i].T)
                first.bias.copy_(model.decoder.hidden[g].bias[i, 0])
        theirs = {
            key.replace("groupnorm", "norm"): value
            for key, value in reference.bandsequence.bsrnn.state_dict().items()
        }
        for key, value in model.layers.state_dict().items():
            theirs[key].copy_(value)
    return reference


def reference_for(model):
    """A `Reference` of the sizes of a `sepkit` BSRNN, with its weights where it has the paper's layout."""
    settings = model.settings
    widths = [0] * sum(len(bands) for _, bands in model.encoder.groups)
    for width, bands in model.encoder.groups:
        for band in bands:
            widths[band] = width
    channels = 1 if settings["stereo"] == "independent" else model.channels
    sizes = [settings[key] for key in ("features", "hidden", "layers", "mlp", "norm_frames")]
    reference = Reference(widths, channels, *sizes)
    return reference if settings["norm_frames"] else take_weights(reference, model)
