interface Declared {
  name: string;
  dtype: string;
  dims: readonly (number | string)[];
}

interface Made {
  dtype: string;
  dims: number[];
  data: ArrayLike<number | bigint>;
}

export function makeInputs(
  model: string,
  declared: readonly Declared[],
  texts?: Record<string, string>,
  given?: Record<string, Made>,
): Record<string, Made>;
export function freeDimsOf(
  declared: readonly Declared[],
  inputs: Record<string, Pick<Made, 'dims'>>,
): Record<string, number>;
