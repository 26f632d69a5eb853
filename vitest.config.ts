import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

import { vulkanDriver } from './tools/lib/vulkan.mjs';
import { wgslText } from './tools/lib/wgsl-text.mjs';

// Before a worker process loads Dawn: which Vulkan driver it draws with.
const driver = vulkanDriver();
if (driver) process.env['VK_ICD_FILENAMES'] = driver;

const exclude = ['**/node_modules/**', '**/dist/**', 'tests/data/**'];

export default defineConfig({
  plugins: [wgslText],
  test: {
    passWithNoTests: true,
    // Dawn and onnxruntime-node are native add-ons: one process a file.
    pool: 'forks',
    // A software GPU compiles shaders in one thread: as many files at once as there are cores.
    maxWorkers: availableParallelism(),
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['runtime/src/**/*.test.ts', 'app/**/*.test.ts', 'tests/**/*.test.ts'],
          exclude: [...exclude, 'tests/node/**', 'tests/browser/**', 'tests/consumers/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'node',
          include: ['tests/node/**/*.test.ts'],
          exclude,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // These start Chromium themselves, through playwright-core: one at a time.
        extends: true,
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'consumers',
          include: ['tests/consumers/*.test.ts'],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
