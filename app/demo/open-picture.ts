// From a file that a user gives to pixels.

import type { Picture } from '../ocr/picture.js';

export interface OpenedPicture {
  name: string;
  pixels: Picture;
  /** A blob: URL, to be revoked when the picture goes. */
  url: string;
}

/** More pixels are scaled down: they would cost memory and make no line easier to read. */
const mostPixels = 16e6;

/** Throws errors in words for the user. */
export async function openPicture(file: Blob, name: string): Promise<OpenedPicture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(
      file.type.startsWith('image/')
        ? `${name} can’t be read: this browser does not know its format, or the file is damaged.`
        : `${name} is not a picture. Choose a PNG, JPEG, WebP or another picture file.`,
    );
  }
  const scale = Math.min(1, Math.sqrt(mostPixels / (bitmap.width * bitmap.height)));
  const width = Math.max(Math.round(bitmap.width * scale), 1);
  const height = Math.max(Math.round(bitmap.height * scale), 1);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('This browser gives no canvas to read the picture with.');
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return {
    name,
    pixels: context.getImageData(0, 0, width, height),
    url: URL.createObjectURL(file),
  };
}

/** Hands on every file that is dropped on the page or pasted into it. */
export function onFileGiven(take: (file: File) => void): void {
  const { classList } = document.documentElement;
  let depth = 0; // of the elements entered and not yet left
  const move = (by: number) => (event: DragEvent) => {
    event.preventDefault();
    depth += by;
    classList.toggle('dropping', depth > 0);
  };
  addEventListener('dragenter', move(1));
  addEventListener('dragleave', move(-1));
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    depth = 0;
    classList.remove('dropping');
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
  addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file);
  });
}
