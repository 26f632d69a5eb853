// Chromium with WebGPU on this machine's GPU, or on SwiftShader where there is none.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

import { hasGpu } from '../../tools/lib/vulkan.mjs';

const common = [
  '--no-sandbox',
  '--disable-quic',
  '--enable-unsafe-webgpu',
  // Timestamps as they are, and the adapter's description.
  '--enable-webgpu-developer-features',
  '--enable-features=Vulkan',
];

const hardware = [
  '--ignore-gpu-blocklist',
  '--disable-gpu-sandbox',
  '--enable-gpu',
  '--use-angle=vulkan',
  '--disable-vulkan-surface',
  // Dawn keeps f16 from NVIDIA's Vulkan driver by default.
  '--enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
];

const software = ['--use-webgpu-adapter=swiftshader'];

/** $CHROMIUM, or the first of its usual names on the PATH. */
function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
  if (!found) throw new Error('no Chromium: install chromium, or name it in $CHROMIUM');
  return found;
}

/** A browser of playwright-core, which `root` has. `flags`: more of them. */
export async function startChromium(root, { flags = [], isSoftware = !hasGpu() } = {}) {
  const { chromium } = createRequire(join(root, 'playwright-core/package.json'))('playwright-core');
  return chromium.launch({
    executablePath: chromiumPath(),
    args: [...common, ...(isSoftware ? software : hardware), ...flags],
    timeout: 60_000,
  });
}
