// The repository's own files, for the checks.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root folder of the repository. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Paths (from the root) of all files that git tracks or would track, optionally below `folder`. */
export function repositoryFiles(folder = '.') {
  const out = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', folder],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  const paths = new Set(out.split('\0').filter((path) => path !== ''));
  return [...paths].filter((path) => existsSync(join(root, path))).sort();
}

/** Prints each problem and a summary, and ends the process with 1 where there are any. */
export function report(check, problems, checked) {
  for (const problem of problems) console.error(problem);
  console.log(`${check}: ${checked} files, ${problems.length} problems`);
  if (problems.length > 0) process.exit(1);
}
