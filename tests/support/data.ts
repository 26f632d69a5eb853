// The conformance data in tests/data, unpacked once, as a list of cases.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { repoRoot, testDataRoot } from './paths.js';

/** onnx-node: ONNX's own node tests. zoo: small exported networks with odd corners. */
export type Suite = 'onnx-node' | 'zoo';

export interface DataSet {
  inputs: string[];
  outputs: string[];
}

/** A model and the files that say what it must give. All paths are absolute. */
export interface DataCase {
  name: string;
  suite: Suite;
  folder: string;
  modelPath: string;
  dataSets: DataSet[];
}

/** The folder of a suite, unpacked on the first call and whenever its archive changes. */
export function unpack(suite: Suite): string {
  const archive = join(repoRoot, 'tests', 'data', `${suite}.tar.xz`);
  const folder = join(testDataRoot, suite);
  const hash = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (isCurrent(folder, hash)) return folder;

  // Test files run in several processes: each that comes too early unpacks for itself, the first
  // to finish moves its copy into place.
  mkdirSync(testDataRoot, { recursive: true });
  const fresh = mkdtempSync(join(testDataRoot, `.${suite}-`));
  try {
    const tar = spawnSync('tar', ['-xJf', archive, '-C', fresh], { encoding: 'utf8' });
    if (tar.status !== 0) {
      throw new Error(`cannot unpack ${suite}.tar.xz: ${tar.error?.message ?? tar.stderr}`);
    }
    writeFileSync(join(fresh, stampName), hash);
    if (!isCurrent(folder, hash)) {
      if (existsSync(folder)) renameSync(folder, join(fresh, '.stale'));
      moveIntoPlace(fresh, folder, hash);
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}

const stampName = '.archive-sha256';

function isCurrent(folder: string, hash: string): boolean {
  const stamp = join(folder, stampName);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
}

function moveIntoPlace(fresh: string, folder: string, hash: string): void {
  try {
    renameSync(fresh, folder);
    rmSync(join(folder, '.stale'), { recursive: true, force: true });
  } catch (error) {
    if (!isCurrent(folder, hash)) throw error;
  }
}

/** Every case of a suite, by name. */
export function dataCases(suite: Suite): DataCase[] {
  const root = unpack(suite);
  return list(root)
    .filter((name) => existsSync(join(root, name, 'model.onnx')))
    .map((name) => {
      const folder = join(root, name);
      const sets = list(folder).filter((entry) => /^(test_)?data_set_\d+$/.test(entry));
      return {
        name,
        suite,
        folder,
        modelPath: join(folder, 'model.onnx'),
        dataSets: sets.map((set) => ({
          inputs: valueFiles(join(folder, set), 'input'),
          outputs: valueFiles(join(folder, set), 'output'),
        })),
      };
    });
}

function valueFiles(folder: string, kind: 'input' | 'output'): string[] {
  return list(folder)
    .filter((file) => new RegExp(`^${kind}_\\d+\\.pb$`).test(file))
    .map((file) => join(folder, file));
}

/** A folder's entries, input_2 before input_10. */
function list(folder: string): string[] {
  const byNumber = new Intl.Collator('en', { numeric: true });
  return readdirSync(folder).sort(byNumber.compare);
}
