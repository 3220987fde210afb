// ComfyUI in a headless Chromium, for the scripts that author, photograph and test.
//
// Needs Chromium (on the PATH, or named by CHROMIUM) and `npm install --prefix .host/browser playwright-core`.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(new URL('../.host/browser/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const LOOPBACK = /^(127\.0\.0\.1|localhost)$/;

// What would cover the graph or stick out of its nodes.
const QUIET = {
  'Comfy.TutorialCompleted': true,
  'Comfy.Minimap.Visible': false,
  'Comfy.NodeBadge.NodeSourceBadgeMode': 'None',
  'Comfy.Graph.CanvasInfo': false,
  'LiteGraph.Canvas.MinFontSizeForLOD': 0, // letters stay, however small
};

function chromiumPath() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
  const folders = process.env.PATH.split(path.delimiter);
  const candidates = folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
  return process.env.CHROMIUM ?? candidates.find((candidate) => fs.existsSync(candidate));
}

async function openComfyUI(browser, url, settings, errors) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 900 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  // nothing outside this machine: the page would ask for update notices
  await page.route('**/*', (route) =>
    LOOPBACK.test(new URL(route.request().url()).hostname) ? route.continue() : route.abort());
  await page.request.post(new URL('/settings', url).href, { data: { ...QUIET, ...settings } });
  await page.addInitScript(() => localStorage.setItem('vueNodesBannerDismissed', 'true'));
  await page.goto(url, { timeout: 120000 });
  await page.waitForFunction(
    () => window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 100,
    null, { timeout: 120000 });
  return page;
}

/** Calls `work(page, errors)` on the page of a running ComfyUI; `errors` grows with those of the page. */
export async function withComfyUI(url, work, settings = {}) {
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      // pages without a window would otherwise wait behind everything else of the machine
      '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'],
  });
  try {
    const errors = [];
    return await work(await openComfyUI(browser, url, settings, errors), errors);
  } finally {
    await browser.close();
  }
}
