// Tables for a terminal: names to the left, numbers to the right.

/** `rows` of texts under `head`; a column is of numbers where all of its filled cells are. */
export function table(head, rows) {
  const all = [head, ...rows].map((row) => row.map(String));
  const width = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const numeric = head.map((_, i) =>
    rows.every((row) => row[i] === '' || row[i] === '-' || /^[-+<]?\d/.test(row[i])),
  );
  const line = (row) =>
    row
      .map((cell, i) => (numeric[i] && i > 0 ? cell.padStart(width[i]) : cell.padEnd(width[i])))
      .join('  ')
      .trimEnd();
  return all.map(line).join('\n');
}
