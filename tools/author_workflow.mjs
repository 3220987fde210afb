// Opens a workflow in a headless browser, in a running ComfyUI, and saves what the browser makes of it.
//
//   node tools/author_workflow.mjs URL WORKFLOW.json [--ui OUT.json] [--api OUT.json] [--png OUT.png]
//
// WORKFLOW.json is in either of ComfyUI's formats. --ui writes the graph as the browser saves it (what
// belongs in workflows/), --api what the browser would queue, --png a picture of the whole graph.
// To write a workflow: put down the API format by hand, { "1": { "class_type": ..., "inputs": ... } },
// start `python3 tools/host.py serve --port 8199`, and run this with URL http://127.0.0.1:8199.
// Nodes are then laid out by the browser; "_meta": { "title": ..., "pos": [x, y], "size": [w, h] }
// beside a node's inputs places it. A graph that has been saved by the browser keeps its layout.
//
// Prints a report as JSON: { nodes, missing, errors }; ends with code 1 if a node type is missing.
// Needs Chromium (on the PATH, or named by CHROMIUM) and `npm install --prefix .host/browser playwright-core`.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const require = createRequire(new URL('../.host/browser/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const LOOPBACK = /^(127\.0\.0\.1|localhost)$/;

function chromiumPath() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
  const folders = process.env.PATH.split(path.delimiter);
  const candidates = folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
  return process.env.CHROMIUM ?? candidates.find((candidate) => fs.existsSync(candidate));
}

async function openComfyUI(browser, url, errors) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 900 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  // nothing outside this machine: the page would ask for update notices
  await page.route('**/*', (route) =>
    LOOPBACK.test(new URL(route.request().url()).hostname) ? route.continue() : route.abort());
  // else the tutorial or a small map covers the graph
  const settings = { 'Comfy.TutorialCompleted': true, 'Comfy.Minimap.Visible': false };
  await page.request.post(new URL('/settings', url).href, { data: settings });
  await page.addInitScript(() => localStorage.setItem('vueNodesBannerDismissed', 'true'));
  await page.goto(url);
  await page.waitForFunction(
    () => window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 100,
    null, { timeout: 120000 });
  return page;
}

// Runs inside the page.
async function load(workflow) {
  if (workflow.nodes) {
    await window.app.loadGraphData(workflow, true, true, 'workflow');
    return;
  }
  await window.app.loadApiJson(workflow, 'workflow');
  window.app.graph.arrange(60);
  for (const [number, { _meta }] of Object.entries(workflow)) {
    const node = window.app.graph.getNodeById(number);
    if (!node) continue; // of a missing type
    // a seed that stays: the first run of a saved workflow gives what its picture shows
    const afterRun = node.widgets?.find((widget) => widget.name === 'control_after_generate');
    if (afterRun) afterRun.value = 'fixed';
    if (_meta?.title) node.title = _meta.title;
    if (_meta?.size) node.setSize(_meta.size);
    if (_meta?.pos) node.pos = _meta.pos;
  }
}

// Runs inside the page.
function missingTypes(workflow) {
  const known = window.LiteGraph.registered_node_types;
  const subgraphs = (workflow.definitions?.subgraphs ?? []).map((subgraph) => subgraph.id);
  const types = (workflow.nodes ?? Object.values(workflow)).map((node) => node.type ?? node.class_type);
  return [...new Set(types.filter((type) => !(type in known) && !subgraphs.includes(type)))];
}

// Runs inside the page. Scale and offset are set by hand: the browser's own "fit view" is animated.
function showWholeGraph() {
  const nodes = window.app.graph._nodes;
  const left = Math.min(...nodes.map((node) => node.pos[0]));
  const top = Math.min(...nodes.map((node) => node.pos[1] - 40));
  const width = Math.max(...nodes.map((node) => node.pos[0] + node.size[0])) - left;
  const height = Math.max(...nodes.map((node) => node.pos[1] + node.size[1])) - top;
  const view = { width: window.innerWidth, height: window.innerHeight };
  const scale = Math.min(1.2, (0.88 * view.width) / width, (0.76 * view.height) / height);
  const { ds } = window.app.canvas;
  ds.scale = scale;
  ds.offset[0] = (view.width / scale - width) / 2 - left;
  ds.offset[1] = (view.height / scale - height) / 2 - top;
  window.app.canvas.setDirty(true, true);
}

function writeJson(file, content) {
  fs.writeFileSync(file, JSON.stringify(content, null, 2) + '\n');
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { ui: { type: 'string' }, api: { type: 'string' }, png: { type: 'string' } },
});
if (positionals.length !== 2) {
  console.error('usage: author_workflow.mjs URL WORKFLOW.json [--ui F] [--api F] [--png F]');
  process.exit(2);
}
const [url, input] = positionals;
const workflow = JSON.parse(fs.readFileSync(input, 'utf8'));
const errors = [];
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const page = await openComfyUI(browser, url, errors);
  const missing = await page.evaluate(missingTypes, workflow);
  await page.evaluate(load, workflow);
  const nodes = await page.evaluate(() => window.app.graph._nodes.length);
  if (options.ui) writeJson(options.ui, await page.evaluate(() => window.app.graph.serialize()));
  if (options.api) {
    writeJson(options.api, await page.evaluate(async () => (await window.app.graphToPrompt()).output));
  }
  if (options.png) {
    await page.evaluate(showWholeGraph);
    await page.waitForTimeout(800); // two frames are not enough for previews and fonts
    await page.screenshot({ path: options.png });
  }
  console.log(JSON.stringify({ nodes, missing, errors }, null, 2));
  process.exitCode = missing.length ? 1 : 0;
} finally {
  await browser.close();
}
