// People in browsers: Chromium pages, each its own context, driven through the line protocol.
//
// Verbs that this file does not know go to the page (`page.js`).
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { say, serve } from "./lines.mjs";

const here = (name) => new URL(name, import.meta.url);
const files = new Map([
  ["/", ["text/html", readFileSync(here("page.html"))]],
  ["/page.js", ["text/javascript", readFileSync(here("page.js"))]],
  ["/e2ee.js", ["text/javascript", readFileSync(createRequire(import.meta.url).resolve("livekit-client/e2ee-worker"))]],
  ["/livekit-client.js", ["text/javascript", readFileSync(createRequire(import.meta.url).resolve("livekit-client"))]],
]);

// A page needs a secure context for cameras: it comes from this machine's own loopback.
const site = createServer((request, response) => {
  const [type, body] = files.get(new URL(request.url, "http://x").pathname) ?? ["text/plain", null];
  response.writeHead(body ? 200 : 404, { "content-type": type }).end(body ?? "");
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
const home = `http://127.0.0.1:${site.address().port}/`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=30",
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    `--unsafely-treat-insecure-origin-as-secure=${process.env.SABHA_ORIGIN ?? home}`,
  ],
});

const pages = new Map();

async function open(who, { url = home, viewport, locale, colorScheme } = {}) {
  await pages.get(who)?.context().close();
  const context = await browser.newContext({ permissions: ["camera", "microphone"], viewport, locale, colorScheme });
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && say({ event: "console", who, level: m.type(), text: m.text() }));
  page.on("pageerror", (error) => say({ event: "page_error", who, text: String(error) }));
  await page.exposeFunction("emit", (event) => say({ who, ...event }));
  await page.addInitScript(() => {
    globalThis.connections = [];
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) {
        super(...args);
        globalThis.connections.push(this);
      }
    };
  });
  await page.goto(url);
  pages.set(who, page);
}

const byId = (page, { id, nth }) => (nth === undefined ? page.getByTestId(id) : page.getByTestId(id).nth(nth));

const verbs = {
  open: (_, args, who) => open(who, args),
  close: async (page, _, who) => {
    pages.delete(who);
    await page?.context().close();
  },
  fill: (page, args) => byId(page, args).fill(args.value),
  press: (page, args) => byId(page, args).press(args.key),
  click: (page, args) => byId(page, args).click(),
  text: (page, args) => byId(page, args).innerText(),
  see: (page, args) => byId(page, args).waitFor({ state: args.state ?? "visible" }),
  see_text: (page, { text }) => page.getByText(text).first().waitFor(),
  attribute: (page, args) => byId(page, args).getAttribute(args.name),
  screenshot: (page, { path }) => page.screenshot({ path }),
  // Pictures that are drawn and whose time goes on.
  videos: (page, { at_least }) =>
    page.waitForFunction((n) => [...document.querySelectorAll("video")].filter((v) => v.videoWidth > 0 && v.currentTime > 1).length >= n, at_least),
  // Exactly so many elements, whose data attributes are as given.
  elements: (page, { id, exactly, data = {} }) =>
    page.waitForFunction(([id, n, data]) => {
      const found = [...document.querySelectorAll(`[data-testid="${id}"]`)];
      return found.filter((e) => Object.entries(data).every(([key, value]) => e.dataset[key] === value)).length === n;
    }, [id, exactly, data]),
};

// Handles of the driver are of no use to the other side of the line.
const plain = (value) => (value !== null && typeof value === "object" && "asElement" in value ? null : value);

await serve(
  async ({ who, do: verb, id: _, args = {} }) => {
    if (verbs[verb]) return plain(await verbs[verb](pages.get(who), args, who));
    if (!pages.has(who)) await open(who);
    return pages.get(who).evaluate(([verb, args]) => globalThis.ask(verb, args), [verb, args]);
  },
  () => browser.close(),
);
