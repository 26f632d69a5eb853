// A plugin for rolldown and Vite: .wgsl files as text, without comments and indentation.
import { readFileSync } from 'node:fs';

export const wgslText = {
  name: 'wgsl-text',
  load(id) {
    if (!id.endsWith('.wgsl')) return null;
    const lines = readFileSync(id, 'utf8')
      .split('\n')
      .map((line) => line.replace(/\/\/.*/, '').trim());
    const text = lines.filter(Boolean).join('\n') + '\n';
    return { code: `export default ${JSON.stringify(text)};`, moduleType: 'js' };
  },
};
