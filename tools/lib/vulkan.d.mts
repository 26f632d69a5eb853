export function hasGpu(): boolean;
/** The driver description that VK_ICD_FILENAMES should name, or undefined for the system's. */
export function vulkanDriver(): string | undefined;
