// Which Vulkan driver tests use: VK_ICD_FILENAMES where set, else Chromium's SwiftShader where
// there is no GPU device. As a program it prints the driver's file, or nothing.
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Does the system have a GPU's device files? */
export function hasGpu() {
  return (
    existsSync('/dev/nvidiactl') ||
    (existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('render')))
  );
}

/** The driver description that VK_ICD_FILENAMES should name, or undefined for the system's. */
export function vulkanDriver() {
  if (process.env.VK_ICD_FILENAMES) return process.env.VK_ICD_FILENAMES;
  return !hasGpu() && existsSync(SWIFTSHADER) ? SWIFTSHADER : undefined;
}

/**
 * What Dawn is told for SwiftShader, which writes out each store that zeroes workgroup memory: a
 * shader with 16 KiB of it took 3.5 s to compile, and 0.02 s with a loop of Dawn's instead.
 */
export const softwareToggles = [
  'disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
];

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(vulkanDriver() ?? '');
