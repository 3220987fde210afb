// Opens the help page of a node in the browser; tells as JSON what is shown of it.
//
//   node tests/open_help.mjs URL NODE_ID [LANGUAGE] [PICTURE.png]

import { withComfyUI } from '../tools/browser.mjs';

const [url, type, language = 'en', picture] = process.argv.slice(2);

// Runs inside the page: the node, alone and selected.
function addNode(type) {
  const node = window.LiteGraph.createNode(type);
  window.app.graph.clear();
  window.app.graph.add(node);
  node.pos = [800, 300];
  window.app.canvas.ds.scale = 1;
  window.app.canvas.ds.offset = [0, 0];
  window.app.canvas.selectNode(node);
  window.app.canvas.setDirty(true, true);
  return {
    title: node.title,
    inputs: node.inputs.map((input) => input.label ?? input.localized_name ?? input.name),
    outputs: node.outputs.map((output) => output.label ?? output.localized_name ?? output.name),
  };
}

await withComfyUI(url, async (page, errors) => {
  await page.waitForTimeout(1000);
  const node = await page.evaluate(addNode, type);
  await page.locator('[data-testid="info-button"]').click({ timeout: 60000 });
  const help = page.locator('.node-help-content').first();
  await help.locator('h2').first().waitFor({ timeout: 60000 });
  await page.waitForTimeout(1500);
  const shown = await help.evaluate((element) => ({
    text: element.innerText,
    pictures: [...element.querySelectorAll('img')].map((image) => [
      new URL(image.src).pathname, image.naturalWidth, image.getBoundingClientRect().width]),
    tables: element.querySelectorAll('table').length,
  }));
  if (picture) await page.screenshot({ path: picture });
  console.log(JSON.stringify({ node, shown, errors }));
}, { 'Comfy.Locale': language });
