// The example's page, as built by Vite, under its own strict policy: what a user sees in it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBrowser, type TestPage } from '../support/browser.js';
import { picturePath, referenceReading } from '../support/ocr.js';
import { repoRoot } from '../support/paths.js';

const root = join(repoRoot, 'app/dist/page');
/** Compiling all programs on a software GPU takes minutes where other tests run beside. */
const patience = 600_000;

/** Drops a file on the page, as a user does with the mouse. */
async function drop({ page }: TestPage, name: string, type: string, bytes: Uint8Array) {
  await page.evaluate(
    ({ name, type, base64 }) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], name, { type }));
      const options = { dataTransfer, bubbles: true, cancelable: true };
      for (const event of ['dragenter', 'dragover', 'drop']) {
        document.getElementById('stage')!.dispatchEvent(new DragEvent(event, options));
      }
    },
    { name, type, base64: Buffer.from(bytes).toString('base64') },
  );
}

/** Waits for a picture to be read; the lines that the page then shows. */
async function linesOf({ page }: TestPage, picture: string): Promise<string[]> {
  await page.getByAltText(`The picture ${picture}`).waitFor();
  await page.locator('#lines li').first().waitFor({ timeout: patience });
  await page.getByText(/lines? in [\d.]+ m?s on /).waitFor();
  return page.locator('#lines .words').allTextContents();
}

async function expected(name: Parameters<typeof referenceReading>[0]): Promise<string[]> {
  return (await referenceReading(name)).lines.map(({ text }) => text);
}

const png = (name: Parameters<typeof picturePath>[0]) => readFileSync(picturePath(name));

describe('with WebGPU', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start({ root, csp: true, isolated: true });
  });
  afterAll(() => browser?.close());

  test('reads its own sample at once, then a picture that is dropped on it', async () => {
    const page = await browser.open('/index.html?device=wasm');
    expect(await linesOf(page, 'Receipt')).toEqual(await expected('receipt'));
    await drop(page, 'sign.png', 'image/png', png('sign'));
    expect(await linesOf(page, 'sign.png')).toEqual(await expected('sign'));

    // Text over the picture, a box a line; times of one reading, then of two.
    const texts = await page.page.locator('.frame svg text').allTextContents();
    expect(texts).toEqual(await page.page.locator('#lines .words').allTextContents());
    const cells = page.page.locator('#times tbody tr').last().locator('td');
    expect((await cells.allTextContents())[2]).toBe('–');
    await page.page.getByRole('button', { name: 'Read it again' }).click();
    await expect.poll(() => cells.nth(2).textContent(), { timeout: patience }).toMatch(/\d m?s$/);
    expect(await page.page.locator('#places').textContent()).toMatch(
      /^DeviceWebAssembly, \d+ threads?Whyasked for/,
    );
    expect(page.errors).toEqual([]);
    await page.close();
  });

  test('reads on the GPU', { timeout: patience }, async () => {
    const page = await browser.open('/index.html?device=webgpu');
    await drop(page, 'sign.png', 'image/png', png('sign'));
    expect(await linesOf(page, 'sign.png')).toEqual(await expected('sign'));
    expect(await page.page.locator('#places').textContent()).toMatch(
      /^DeviceWebGPU on .*swiftshader/i,
    );
    expect(page.errors).toEqual([]);
    await page.close();
  });

  test('what is not a picture is refused in words, and the page goes on', async () => {
    const page = await browser.open('/index.html?device=wasm');
    const alert = page.page.getByRole('alert');
    await page.page.getByAltText('The picture Receipt').waitFor();
    await drop(page, 'notes.txt', 'text/plain', Buffer.from('no picture'));
    await expect.poll(() => alert.textContent()).toMatch(/^notes\.txt is not a picture\./);
    await drop(page, 'torn.png', 'image/png', png('sign').subarray(0, 20));
    await expect.poll(() => alert.textContent()).toMatch(/^torn\.png can’t be read: /);
    expect((await linesOf(page, 'Receipt')).length).toBeGreaterThan(10);
    await page.close();
  });
});

describe('without WebGPU', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start({ root, csp: true, webgpu: false });
  });
  afterAll(() => browser?.close());

  test('automatic takes WebAssembly and says why; WebGPU is refused in words', async () => {
    const page = await browser.open('/index.html');
    await linesOf(page, 'Receipt');
    const places = await page.page.locator('#places').textContent();
    expect(places).toMatch(/^DeviceWebAssembly, 1 threadWhywebgpu: /);
    expect(places).toMatch(/not cross-origin isolated/);
    await page.page.getByRole('radio', { name: 'WebGPU' }).check();
    const alert = page.page.getByRole('alert');
    await expect.poll(() => alert.textContent()).toMatch(/^WebGPU can’t be used: .+\. Choose/);
    await page.page.getByRole('radio', { name: 'Automatic' }).check();
    expect((await linesOf(page, 'Receipt')).length).toBeGreaterThan(10);
    expect(await alert.isVisible()).toBe(false);
    await page.close();
  });
});
