// What a program under test found, and on which engine, for the test that started it.

/** `ort`: the module that the program's packages import. Typed arrays become plain ones. */
export function print(ort, result) {
  const engine = 'quern' in ort.env ? 'quern' : 'onnxruntime';
  const plain = (_, value) => {
    if (typeof value === 'bigint') return Number(value);
    return ArrayBuffer.isView(value) ? Array.from(value) : value;
  };
  process.stdout.write(`\n${JSON.stringify({ engine, result }, plain)}\n`);
}

export const options = JSON.parse(process.argv[2] ?? '{}');
