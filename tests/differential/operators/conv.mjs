// Windows over images: src/ops/conv, src/ops/pool and src/ops/image.

import { count } from '../draw.mjs';

const fill = (n, of) => Array.from({ length: n }, of);

/**
 * Kernel, strides, dilations, pads and auto_pad over `rank` axes; the input's sizes, so that no
 * output is empty.
 */
function windows(d, rank, { dilated = true, kernelShown = true, autoPads, most = 3 } = {}) {
  const kernel = fill(rank, () => d.integer(1, most));
  if (kernelShown || d.chance()) d.ints('kernel_shape', kernel);
  const strides = d.chance()
    ? d.ints(
        'strides',
        fill(rank, () => d.integer(1, 3)),
      )
    : fill(rank, () => 1);
  const dilations =
    dilated && d.chance(3)
      ? d.ints(
          'dilations',
          fill(rank, () => d.integer(1, 3)),
        )
      : fill(rank, () => 1);
  const spans = kernel.map((k, i) => (k - 1) * dilations[i] + 1);
  let pads = fill(2 * rank, () => 0);
  const auto = d.chance(3)
    ? d.pick(...(autoPads ?? ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER']))
    : undefined;
  if (auto) d.string('auto_pad', auto);
  if ((!auto || auto === 'NOTSET') && d.chance()) {
    pads = d.ints(
      'pads',
      fill(2 * rank, (_, i) => d.integer(0, Math.min(2, kernel[i % rank] - 1))),
    );
  }
  // Strides beyond the window would make SAME's pads negative, which is not settled.
  if (auto?.startsWith('SAME') && strides.some((stride, i) => stride > spans[i])) {
    strides.forEach((stride, i) => (strides[i] = Math.min(stride, spans[i])));
  }
  const sizes = spans.map((span) => d.integer(span, span + (rank > 2 ? 3 : 8)));
  return { kernel, strides, dilations, pads, sizes, spans, auto };
}

function conv(d) {
  const type = d.type();
  const rank = d.pick(2, 1, 3);
  const groups = d.pick(1, 1, 2, 3);
  const channels = () => (d.chance(8) ? d.integer(6, 40) : d.integer(1, 5));
  const [inside, outside] = [channels(), channels()];
  if (groups !== 1 || d.chance()) d.int('group', groups);
  const { kernel, sizes } = windows(d, rank, { kernelShown: false });
  if (rank < 3 && d.chance(8)) sizes[rank - 1] += d.integer(10, 40);
  d.input(d.tensor(type, [d.integer(1, 3), groups * inside, ...sizes]));
  d.input(d.tensor(type, [groups * outside, inside, ...kernel]));
  if (d.chance()) d.input(d.tensor(type, [groups * outside]));
  d.output(type);
}

function pool(d, { op, dtypes }) {
  const type = d.type('T', dtypes);
  const rank = d.pick(2, 1, 3);
  const since = { MaxPool: 10, AveragePool: 19, LpPool: 18 }[op];
  const { sizes } = windows(d, rank, { dilated: d.version >= since });
  const ceiling = { MaxPool: 10, AveragePool: 10, LpPool: 18 }[op];
  if (d.version >= ceiling) d.maybeInt('ceil_mode', 0, () => d.pick(0, 1));
  if (op === 'AveragePool') d.maybeInt('count_include_pad', 0, () => d.pick(0, 1));
  if (op === 'LpPool') d.maybeInt('p', 2, () => d.pick(1, 2, 3));
  if (op === 'MaxPool' && d.version >= 8) d.maybeInt('storage_order', 0, () => d.pick(0, 1));
  d.input(
    d.tensor(
      type,
      [d.integer(1, 2), d.integer(1, 4), ...sizes],
      type === 'u8' || type === 'i8' ? { wide: true } : {},
    ),
  );
  d.output(type);
  if (op === 'MaxPool' && d.version >= 8 && d.chance(3)) d.output('i64');
}

export const convolutions = {
  Conv: conv,
  ConvTranspose: (d) => {
    const type = d.type();
    const rank = d.pick(2, 1, 3);
    const groups = d.pick(1, 1, 2);
    const [inside, outside] = [d.integer(1, 4), d.integer(1, 4)];
    if (groups !== 1 || d.chance()) d.int('group', groups);
    const { kernel, strides, dilations } = windows(d, rank, {
      kernelShown: false,
      autoPads: ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'],
    });
    const spatial = fill(rank, () => d.integer(rank > 2 ? 2 : 3, rank > 2 ? 4 : 8));
    if (d.chance(3)) {
      d.ints(
        'output_padding',
        strides.map((s, i) => d.integer(0, Math.max(s, dilations[i]) - 1)),
      );
    }
    d.input(d.tensor(type, [d.integer(1, 2), groups * inside, ...spatial]));
    d.input(d.tensor(type, [groups * inside, outside, ...kernel]));
    if (d.chance()) d.input(d.tensor(type, [groups * outside]));
    d.output(type);
  },
  DeformConv: (d) => {
    const type = d.type();
    const [kh, kw, h, w] = [d.integer(1, 3), d.integer(1, 3), d.integer(3, 7), d.integer(3, 7)];
    const groups = d.pick(1, 2);
    const offsets = d.pick(1, 2);
    const channels = groups * offsets * d.integer(1, 2);
    if (groups > 1) d.int('group', groups);
    if (offsets > 1) d.int('offset_group', offsets);
    const pads = d.chance()
      ? d.ints(
          'pads',
          fill(4, () => d.integer(0, 1)),
        )
      : [0, 0, 0, 0];
    const strides = d.chance() ? d.ints('strides', [d.integer(1, 2), d.integer(1, 2)]) : [1, 1];
    const out = [h, w].map(
      (size, i) => Math.floor((size + pads[i] + pads[i + 2] - [kh, kw][i]) / strides[i]) + 1,
    );
    const n = d.integer(1, 2);
    d.input(d.tensor(type, [n, channels, h, w]));
    d.input(d.tensor(type, [groups * d.integer(1, 2), channels / groups, kh, kw]));
    d.input(d.tensor(type, [n, offsets * kh * kw * 2, ...out]));
    const filters = d.tensors[1].tensor.dims[0];
    if (d.chance()) d.input(d.tensor(type, [filters]));
    else d.skip();
    if (d.chance()) d.input(d.tensor(type, [n, offsets * kh * kw, ...out]));
    d.output(type);
  },
  Col2Im: (d) => {
    // The specification lists strings and booleans too, which have no sum.
    const type = d.type('T', ['f32', 'f16', 'f64', 'bf16', 'i32', 'i64', 'u8', 'i8', 'u32']);
    const rank = d.pick(2, 1, 3);
    const block = fill(rank, () => d.integer(1, 3));
    const strides = d.chance()
      ? d.ints(
          'strides',
          fill(rank, () => d.integer(1, 2)),
        )
      : fill(rank, () => 1);
    const dilations = d.chance()
      ? d.ints(
          'dilations',
          fill(rank, () => d.integer(1, 2)),
        )
      : fill(rank, () => 1);
    const pads = d.chance()
      ? d.ints(
          'pads',
          fill(2 * rank, () => d.integer(0, 1)),
        )
      : fill(2 * rank, () => 0);
    const image = block.map((k, i) => (k - 1) * dilations[i] + 1 + d.integer(0, 4));
    const blocks = image.map(
      (size, i) =>
        Math.floor(
          (size + pads[i] + pads[i + rank] - dilations[i] * (block[i] - 1) - 1) / strides[i],
        ) + 1,
    );
    d.input(d.tensor(type, [d.integer(1, 2), d.integer(1, 3) * count(block), count(blocks)]));
    d.shapeInput(d.i64(image));
    d.shapeInput(d.i64(block));
    d.output(type);
  },

  MaxPool: (d) => pool(d, { op: 'MaxPool' }),
  AveragePool: (d) => pool(d, { op: 'AveragePool' }),
  LpPool: (d) => pool(d, { op: 'LpPool' }),
  MaxRoiPool: (d) => {
    const type = d.type();
    const [n, c, h, w] = [d.integer(1, 2), d.integer(1, 3), d.integer(1, 9), d.integer(1, 9)];
    const rois = d.integer(1, 4);
    const scale = d.chance() ? d.float('spatial_scale', d.pick(1, 0.5, 0.25)) : 1;
    d.ints('pooled_shape', [d.integer(1, 4), d.integer(1, 4)]);
    d.input(d.tensor(type, [n, c, h, w]));
    const boxes = fill(rois, () => {
      const [x, y] = [d.integer(0, w - 1), d.integer(0, h - 1)];
      const corners = [x, y, d.integer(x, w), d.integer(y, h)];
      return [d.integer(0, n - 1), ...corners.map((at) => at / scale)];
    });
    d.input(d.values(type, [rois, 5], boxes.flat()));
    d.output(type);
  },
  MaxUnpool: (d) => {
    const type = d.type('T1');
    const [n, c, h, w] = [1, d.integer(1, 2), d.integer(1, 4), d.integer(1, 4)];
    d.ints('kernel_shape', [2, 2]);
    d.ints('strides', [2, 2]);
    d.input(d.tensor(type, [n, c, h, w]));
    const places = [];
    for (let i = 0; i < c * h * w; ++i) {
      const [plane, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
      places.push((plane * 2 * h + 2 * y + d.integer(0, 1)) * 2 * w + 2 * x + d.integer(0, 1));
    }
    d.input(d.i64(places, [n, c, h, w]));
    if (d.chance()) d.shapeInput(d.i64([n, c, 2 * h, 2 * w]));
    d.output(type);
  },

  Resize: resize,
  Upsample: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 2, most: 5, zero: false, elements: 200 });
    const scales = dims.map((_, i) => (i < 2 ? 1 : d.integer(2, 5) / 2));
    const modes =
      dims.length >= 3 && dims.length <= 4 && type !== 'string'
        ? ['nearest', 'linear']
        : ['nearest'];
    const mode = d.pick(...modes);
    if (mode !== 'nearest' || d.chance()) d.string('mode', mode);
    d.input(d.tensor(type, dims));
    if (d.version < 9) d.attributes.scales = { floats: scales };
    else d.shapeInput(d.values('f32', [scales.length], scales));
    d.slack = 1;
    d.output(type);
  },
  GridSample: (d) => {
    const type = d.type('T1');
    const rank = d.version >= 20 ? d.pick(2, 3) : 2;
    const [n, c] = [d.integer(1, 2), d.integer(1, 3)];
    const spatial = fill(rank, () => d.integer(1, 6));
    d.input(d.tensor(type, [n, c, ...spatial]));
    d.input(
      d.tensor(d.type('T2'), [n, ...fill(rank, () => d.integer(1, 5)), rank], {
        low: -1.3,
        high: 1.3,
      }),
    );
    const words =
      d.version >= 20 ? ['linear', 'nearest', 'cubic'] : ['bilinear', 'nearest', 'bicubic'];
    const mode = d.pick(...words.slice(0, rank === 3 ? 2 : 3));
    if (d.chance() || mode !== words[0]) d.string('mode', mode);
    if (d.chance()) d.string('padding_mode', d.pick('zeros', 'border', 'reflection'));
    d.maybeInt('align_corners', 0, () => d.pick(0, 1));
    d.slack = 1;
    d.output(type);
  },
  AffineGrid: (d) => {
    const type = d.type('T1');
    const n = d.integer(1, 3);
    const rank = d.pick(2, 3);
    const aligned = d.maybeInt('align_corners', 0, () => d.pick(0, 1));
    d.input(d.tensor(type, [n, rank, rank + 1]));
    // One element has no two corners to align.
    const least = aligned ? 2 : 1;
    d.shapeInput(d.i64([n, d.integer(1, 3), ...fill(rank, () => d.integer(least, 6))]));
    d.output(type);
  },
  RoiAlign: (d) => {
    const type = d.type('T1');
    const [n, c, h, w] = [d.integer(1, 2), d.integer(1, 3), d.integer(2, 9), d.integer(2, 9)];
    const rois = d.integer(1, 4);
    d.input(d.tensor(type, [n, c, h, w]));
    const boxes = fill(rois, () => {
      const [x, y] = [d.integer(0, w) / 1.7, d.integer(0, h) / 1.7];
      return [x, y, x + d.integer(1, w) / 1.3, y + d.integer(1, h) / 1.3];
    });
    d.input(d.values(type, [rois, 4], boxes.flat()));
    d.input(d.i64(fill(rois, () => d.integer(0, n - 1))));
    if (d.chance()) d.string('mode', d.pick('avg', 'max'));
    if (d.version >= 16 && d.chance())
      d.string('coordinate_transformation_mode', d.pick('half_pixel', 'output_half_pixel'));
    d.maybeInt('output_height', 1, () => d.integer(1, 4));
    d.maybeInt('output_width', 1, () => d.integer(1, 4));
    d.maybeInt('sampling_ratio', 0, () => d.integer(0, 3));
    d.maybeFloat('spatial_scale', 0.25, 1);
    d.output(type);
  },
};

function resize(d) {
  const type = d.type(d.version >= 11 ? 'T1' : 'T');
  const modes =
    type === 'string' || type === 'bool'
      ? ['nearest']
      : ['nearest', 'linear', ...(d.version >= 11 ? ['cubic'] : [])];
  const mode = d.pick(...modes);
  const dims = d.dims({
    least: mode === 'nearest' ? 1 : 4,
    most: mode === 'nearest' ? 5 : 4,
    zero: false,
    elements: 200,
  });
  if (mode !== 'nearest' || d.chance()) d.string('mode', mode);
  const fixed = mode === 'nearest' ? 0 : 2;
  const shrink = (i) => (i < fixed ? 1 : d.pick(1, 2, 1.5, 0.5, 3, 0.6, 0.75, 2.3));
  const scales = dims.map((_, i) => (Math.floor(dims[i] * 0.6) < 1 ? 1 : shrink(i)));
  if (mode !== 'nearest') scales.fill(1, 0, fixed);
  d.input(d.tensor(type, dims));
  d.slack = 1;
  if (d.version < 11) {
    d.shapeInput(d.values('f32', [scales.length], scales));
    d.output(type);
    return;
  }
  let transform;
  if (d.chance()) {
    const forms = ['half_pixel', 'asymmetric', 'pytorch_half_pixel', 'align_corners'];
    if (d.version >= 19) forms.push('half_pixel_symmetric');
    transform = d.string('coordinate_transformation_mode', d.pick(...forms));
  }
  if (mode === 'nearest' && d.chance()) {
    d.string('nearest_mode', d.pick('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'));
  }
  if (mode === 'cubic') {
    d.maybeFloat('cubic_coeff_a', -1, -0.25);
    d.maybeInt('exclude_outside', 0, () => d.pick(0, 1));
  }
  const sized = d.chance(3);
  if (d.version >= 18 && mode !== 'nearest' && transform !== 'align_corners' && d.chance(3))
    d.int('antialias', 1);
  if (d.version >= 13 || d.chance()) d.skip();
  else d.input(d.values('f32', [0], []), { constant: true });
  if (sized) {
    if (d.version >= 13) d.skip();
    else d.input(d.values('f32', [0], []), { constant: true });
    const sizes = dims.map((dim, i) => (i < fixed ? dim : d.integer(1, 9)));
    d.shapeInput(d.i64(sizes));
  } else {
    d.shapeInput(d.values('f32', [scales.length], scales));
  }
  d.output(type);
}
