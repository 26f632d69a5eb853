// Renders the .html files of this folder to the .png files beside them: app/pictures/make.sh

import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const folder = dirname(fileURLToPath(import.meta.url));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--force-color-profile=srgb', '--disable-lcd-text'],
});
const page = await browser.newPage({ viewport: { width: 640, height: 640 } });
for (const name of readdirSync(folder).filter((file) => file.endsWith('.html'))) {
  const path = `${folder}/${name}`;
  await page.goto(pathToFileURL(path).href);
  await page.locator('body').screenshot({ path: path.replace(/html$/, 'png') });
}
await browser.close();
