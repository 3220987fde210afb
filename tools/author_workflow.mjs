// Opens a workflow in a headless browser, in a running ComfyUI, and saves what the browser makes of it.
//
//   node tools/author_workflow.mjs URL WORKFLOW.json... [--ui F] [--api F] [--again F] [--png F]
//                          [--run [--anew]] [--node-pngs FOLDER]
//
// WORKFLOW.json is in either of ComfyUI's formats. --ui writes the graph as the browser saves it (what
// belongs in workflows/), --api what the browser would queue, --again what it would queue after it has
// opened that, --png a picture of the whole graph. F is a file or, for several workflows, a folder.
// --node-pngs writes a picture of each node, FOLDER/TYPE.png; --run runs the graph first, so that the
// nodes show what they made, --anew without what earlier runs have left in the server's cache.
// To write a workflow: put down the API format by hand, { "1": { "class_type": ..., "inputs": ... } },
// start `python3 tools/host.py serve --port 8199`, and run this with URL http://127.0.0.1:8199.
// Nodes are then laid out by the browser; "_meta": { "title": ..., "pos": [x, y], "size": [w, h] }
// beside a node's inputs places it, "mode": 4 bypasses it, and "widgets" holds the values of a node
// of the browser's own, such as PrimitiveNode. "_groups": [{ "title", "bounding", "color" }] beside the
// nodes draws frames around them. A graph that has been saved by the browser keeps its layout.
//
// Prints a report as JSON: { errors, workflows: { NAME: { nodes, missing, overlapping } } }; ends with
// code 1 if a node type is missing.
// Needs what browser.mjs needs.

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { withComfyUI } from './browser.mjs';

// Runs inside the page.
async function load(workflow) {
  if (workflow.nodes) {
    await window.app.loadGraphData(workflow, true, true, 'workflow');
    return;
  }
  const { _groups: groups = [], ...nodes } = workflow;
  await window.app.loadApiJson(nodes, 'workflow');
  window.app.graph.arrange(60);
  for (const [number, { _meta }] of Object.entries(nodes)) {
    const node = window.app.graph.getNodeById(number);
    if (!node) continue; // of a missing type
    // a seed that stays: the first run of a saved workflow gives what its picture shows
    const afterRun = node.widgets?.find((widget) => widget.name === 'control_after_generate');
    if (afterRun) afterRun.value = 'fixed';
    if (_meta?.title) node.title = _meta.title;
    if (_meta?.size) node.setSize(_meta.size);
    if (_meta?.pos) node.pos = _meta.pos;
    if (_meta?.mode) node.mode = _meta.mode;
    _meta?.widgets?.forEach((value, index) => { node.widgets[index].value = value; });
  }
  for (const described of groups) {
    const group = new window.LiteGraph.LGraphGroup(described.title);
    group.configure({ font_size: 24, flags: {}, ...described });
    window.app.graph.add(group);
  }
}

// Runs inside the page.
function missingTypes(workflow) {
  const known = window.LiteGraph.registered_node_types;
  const subgraphs = (workflow.definitions?.subgraphs ?? []).map((subgraph) => subgraph.id);
  const { _groups, ...nodes } = workflow;
  const types = (workflow.nodes ?? Object.values(nodes)).map((node) => node.type ?? node.class_type);
  return [...new Set(types.filter((type) => !(type in known) && !subgraphs.includes(type)))];
}

// Runs inside the page: pairs of nodes that lie on each other, as they are shown now.
function overlapping() {
  const TITLE = 30;
  const nodes = window.app.graph._nodes;
  const boxes = nodes.map((node) => [
    node.pos[0], node.pos[1] - TITLE, node.pos[0] + node.size[0], node.pos[1] + node.size[1]]);
  const apart = (a, b) => a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3];
  return nodes.flatMap((node, i) => nodes.slice(i + 1)
    .filter((_, j) => !apart(boxes[i], boxes[i + 1 + j])).map((other) => [node.title, other.title]));
}

// Runs inside the page. Scale and offset are set by hand: the browser's own "fit view" is animated.
// Returns where the graph is on the screen.
function showWholeGraph() {
  const MARGIN = 20; // pixels around the graph
  const boxes = [
    ...window.app.graph._nodes.map(({ pos, size }) => [pos[0], pos[1] - 30, pos[0] + size[0], pos[1] + size[1]]),
    ...window.app.graph._groups.map(({ pos, size }) => [pos[0], pos[1], pos[0] + size[0], pos[1] + size[1]])];
  const [left, top] = [0, 1].map((side) => Math.min(...boxes.map((box) => box[side])));
  const [right, bottom] = [2, 3].map((side) => Math.max(...boxes.map((box) => box[side])));
  const [width, height] = [right - left, bottom - top];
  const view = { width: window.innerWidth, height: window.innerHeight };
  const scale = Math.min(1, (0.88 * view.width) / width, (0.8 * view.height) / height);
  const { ds } = window.app.canvas;
  ds.scale = scale;
  ds.offset[0] = (view.width / scale - width) / 2 - left;
  ds.offset[1] = (view.height / scale - height) / 2 - top;
  window.app.canvas.setDirty(true, true);
  return {
    x: (view.width - scale * width) / 2 - MARGIN,
    y: (view.height - scale * height) / 2 - MARGIN,
    width: scale * width + 2 * MARGIN,
    height: scale * height + 2 * MARGIN,
  };
}

// Runs inside the page: of cached results the server sends no pictures.
async function forget() {
  await window.app.api.fetchApi('/free', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ free_memory: true }),
  });
}

// Runs inside the page: queues the graph and waits until it is done.
function run() {
  return new Promise((resolve, reject) => {
    const { api } = window.app;
    api.addEventListener('execution_success', () => resolve());
    for (const failure of ['execution_error', 'execution_interrupted']) {
      api.addEventListener(failure, ({ detail }) =>
        reject(new Error(`${detail.node_type}: ${detail.exception_message ?? failure}`)));
    }
    window.app.queuePrompt(0).then(() => {
      const refused = window.app.lastNodeErrors ?? {};
      if (Object.keys(refused).length) reject(new Error(`refused: ${JSON.stringify(refused)}`));
    });
  });
}

// Runs inside the page: is what the nodes play there to be seen? What cannot be loaded is not waited for.
function videosAreShown() {
  return [...document.querySelectorAll('video')].every((video) =>
    !video.getAttribute('src') || video.error || video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA);
}

// Runs inside the page: nodes that show what they made have grown over their neighbours.
function spread() {
  for (const node of window.app.graph._nodes) {
    node.pos = [3 * node.pos[0], 4 * node.pos[1]];
    node.setSize([Math.max(node.size[0], 270), node.size[1]]); // wide enough for the title
  }
}

// Runs inside the page: puts one node into the middle, returns where it is on the screen.
function showNode(number) {
  const MARGIN = 12; // pixels around the node, with the beginnings of its links
  const node = window.app.graph._nodes[number];
  const title = 30;
  const { ds } = window.app.canvas;
  ds.scale = 1;
  ds.offset[0] = (window.innerWidth - node.size[0]) / 2 - node.pos[0];
  ds.offset[1] = (window.innerHeight - node.size[1] + title) / 2 - node.pos[1];
  window.app.canvas.setDirty(true, true);
  return {
    type: node.type,
    clip: {
      x: (window.innerWidth - node.size[0]) / 2 - MARGIN,
      y: (window.innerHeight - node.size[1] - title) / 2 - MARGIN,
      width: node.size[0] + 2 * MARGIN,
      height: node.size[1] + title + 2 * MARGIN,
    },
  };
}

async function writeNodePictures(page, folder, count) {
  fs.mkdirSync(folder, { recursive: true });
  await page.evaluate(spread);
  for (let number = 0; number < count; number++) {
    const { type, clip } = await page.evaluate(showNode, number);
    await page.waitForTimeout(500);
    await page.screenshot({ path: path.join(folder, `${type}.png`), clip });
  }
}

async function writeGraphPicture(page, file) {
  await page.setViewportSize({ width: 2200, height: 1500 });
  await page.evaluate(showWholeGraph);
  await page.waitForFunction(videosAreShown, null, { timeout: 60000 });
  await page.waitForTimeout(800); // two frames are not enough for previews and fonts
  await page.screenshot({ path: file, clip: await page.evaluate(showWholeGraph) });
}

function writeJson(file, content) {
  fs.writeFileSync(file, JSON.stringify(content, null, 2) + '\n');
}

// Opens one workflow, writes what is asked for, returns its report. `target` names the output files.
async function author(page, workflow, options, target) {
  const queued = () => page.evaluate(async () => (await window.app.graphToPrompt()).output);
  const missing = await page.evaluate(missingTypes, workflow);
  await page.evaluate(load, workflow);
  const nodes = await page.evaluate(() => window.app.graph._nodes.length);
  // before a run: seeds and lines may go on after it
  const api = options.api || options.again ? await queued() : null;
  if (options.api) writeJson(target(options.api, 'json'), api);
  if (options.anew) await page.evaluate(forget);
  if (options.run) await page.evaluate(run);
  if (options.ui) {
    writeJson(target(options.ui, 'json'), await page.evaluate(() => window.app.graph.serialize()));
  }
  if (options.png) await writeGraphPicture(page, target(options.png, 'png'));
  const report = { nodes, missing, overlapping: await page.evaluate(overlapping) };
  if (options['node-pngs']) await writeNodePictures(page, options['node-pngs'], nodes);
  if (options.again) {
    await page.evaluate(load, api);
    writeJson(target(options.again, 'json'), await queued());
  }
  return report;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ui: { type: 'string' }, api: { type: 'string' }, again: { type: 'string' }, png: { type: 'string' },
    run: { type: 'boolean' }, anew: { type: 'boolean' }, 'node-pngs': { type: 'string' },
  },
});
const [url, ...inputs] = positionals;
if (!inputs.length) {
  console.error('usage: author_workflow.mjs URL WORKFLOW.json... [--ui F] [--api F] [--again F] [--png F] '
    + '[--run [--anew]] [--node-pngs D]');
  process.exit(2);
}
await withComfyUI(url, async (page, errors) => {
  const workflows = {};
  for (const input of inputs) {
    const name = path.basename(input, '.json');
    const target = (given, ending) => (inputs.length > 1 ? path.join(given, `${name}.${ending}`) : given);
    workflows[name] = await author(page, JSON.parse(fs.readFileSync(input, 'utf8')), options, target);
  }
  console.log(JSON.stringify({ errors, workflows }, null, 2));
  process.exitCode = Object.values(workflows).some(({ missing }) => missing.length) ? 1 : 0;
});
