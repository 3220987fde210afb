// Uploads a file with the button of Load Reference Clip and plays it; tells as JSON what happened.
//
//   node tests/upload_clip.mjs URL FILE [PICTURE.png]

import { withComfyUI } from '../tools/browser.mjs';

const [url, file, picture] = process.argv.slice(2);

// Runs inside the page: the node, alone; where its button is on the screen.
function addNode() {
  const node = window.LiteGraph.createNode('LipStyleLoadReferenceClip');
  window.app.graph.clear();
  window.app.graph.add(node);
  node.pos = [500, 200];
  const { ds } = window.app.canvas;
  ds.scale = 1;
  ds.offset = [0, 0];
  window.app.canvas.setDirty(true, true);
}

// Runs inside the page: the middle of the node's button on the screen.
function buttonPlace() {
  const node = window.app.graph._nodes[0];
  const button = node.widgets.find((widget) => widget.type === 'button');
  const { left, top } = window.app.canvas.canvas.getBoundingClientRect();
  return { x: left + node.pos[0] + node.size[0] / 2, y: top + node.pos[1] + button.y + 10 };
}

// Runs inside the page: what the node plays, once there is something to see.
async function played(name) {
  const node = window.app.graph._nodes[0];
  const video = () => [...document.querySelectorAll('video')].find(
    (found) => found.readyState >= 2 && decodeURIComponent(found.currentSrc).includes(name));
  for (let tries = 0; tries < 300 && !video(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const shown = video();
  if (!shown) return { file: node.widgets[0].value };
  shown.muted = true;
  await shown.play();
  for (let tries = 0; tries < 200 && !shown.currentTime; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    file: node.widgets[0].value,
    width: shown.videoWidth,
    height: shown.videoHeight,
    seconds: shown.duration,
    played: shown.currentTime,
    controls: shown.controls,
  };
}

// A busy browser may still be drawing the node where it is not any more: then once more.
async function clickButton(page) {
  for (let tries = 0; ; tries++) {
    await page.waitForFunction(
      () => window.app.graph._nodes[0].widgets.find((widget) => widget.type === 'button').y > 0, null,
      { timeout: 60000 });
    const button = await page.evaluate(buttonPlace);
    const chooser = page.waitForEvent('filechooser', { timeout: 20000 });
    await page.mouse.move(button.x, button.y);
    await page.mouse.click(button.x, button.y);
    try {
      return await chooser;
    } catch (error) {
      if (tries === 4) throw error;
    }
  }
}

await withComfyUI(url, async (page, errors) => {
  await page.evaluate(addNode);
  await page.waitForTimeout(1000);
  await (await clickButton(page)).setFiles(file);
  const name = file.split('/').pop().replace(/\.[^.]*$/, '');
  await page.waitForFunction(
    (part) => String(window.app.graph._nodes[0].widgets[0].value).includes(part), name, { timeout: 60000 });
  const report = await page.evaluate(played, name);
  if (picture) await page.screenshot({ path: picture });
  console.log(JSON.stringify({ ...report, errors }));
});
