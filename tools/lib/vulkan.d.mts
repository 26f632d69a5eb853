export function hasGpu(): boolean;
/** The driver description that VK_ICD_FILENAMES should name, or undefined for the system's. */
export function vulkanDriver(): string | undefined;
/** What Dawn is told for SwiftShader, `feature=value` each. */
export const softwareToggles: readonly string[];
