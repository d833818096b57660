// A web viewer's work in a browser, from another origin: npm's dicomweb-client, fetch, <img> and <video>.
//
// viewer.html?root=URL opens it; ct.dcm lies beside it. What was seen goes to /report, also what went wrong.

const root = new URLSearchParams(location.search).get("root");
const seen = {};

const digest = async (data) =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", data)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

const loaded = (element, event, url) =>
  new Promise((done, failed) => {
    element.crossOrigin = "anonymous";
    element.addEventListener(event, done, { once: true });
    element.addEventListener("error", () => failed(new Error(`${element.tagName} of ${url} did not load`)));
    element.src = url;
  });

function pixels(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height).data; // throws where the origin may not read it
}

async function viewed(client, ct) {
  const stored = await client.storeInstances({ datasets: [ct] });
  const answer = typeof stored === "string" ? JSON.parse(stored) : stored;
  seen.stored = answer["00081199"].Value[0]["00081155"].Value[0];
  const [study] = await client.searchForStudies({ queryParams: { PatientID: "1CT1" } });
  const uids = { studyInstanceUID: study["0020000D"].Value[0] };
  const [series] = await client.retrieveStudyMetadata(uids);
  uids.seriesInstanceUID = series["0020000E"].Value[0];
  uids.sopInstanceUID = series["00080018"].Value[0];
  seen.patient = series["00100010"].Value[0].Alphabetic;
  const [frame] = await client.retrieveInstanceFrames({ ...uids, frameNumbers: [1] });
  seen.frame = await digest(frame);
  seen.file = await digest(await client.retrieveInstance(uids));
  const bulk = await client.retrieveBulkData({ BulkDataURI: series["7FE00010"].BulkDataURI });
  seen.bulk = await digest(bulk[0] ?? bulk);
  return `${root}/studies/${uids.studyInstanceUID}/series/${uids.seriesInstanceUID}/instances/${uids.sopInstanceUID}`;
}

async function fetched(instance) {
  const range = { Accept: "application/octet-stream", Range: "bytes=10-19" };
  const part = await fetch(`${instance}/frames/1`, { headers: range });
  seen.range = [part.status, part.headers.get("content-range"), (await part.arrayBuffer()).byteLength];
  const whole = await fetch(`${instance}/metadata`, { cache: "no-store" });
  const etag = whole.headers.get("etag");
  seen.readable = ["etag", "server-timing", "content-type"].filter((name) => whole.headers.get(name));
  const again = { "If-None-Match": etag };
  seen.unchanged = (await fetch(`${instance}/metadata`, { headers: again, cache: "no-store" })).status;
  const page = await fetch(`${root}/instances?limit=1`);
  seen.next = page.headers.get("link");
  const problem = await fetch(`${root}/studies?limit=many`);
  seen.problem = [problem.status, (await problem.json()).parameter];
}

async function shown(instance) {
  const image = new Image();
  await loaded(image, "load", `${instance}/rendered?accept=image/png`);
  seen.image = [image.naturalWidth, image.naturalHeight];
  const data = pixels(image, image.naturalWidth, image.naturalHeight);
  seen.grey = await digest(data.filter((_, index) => index % 4 === 0));
  const film = Object.assign(document.createElement("video"), { muted: true });
  const url = new URLSearchParams(location.search).get("film");
  await loaded(film, "loadeddata", url);
  seen.film = [film.videoWidth, film.videoHeight, Math.round(film.duration * 10) / 10];
  const sought = new Promise((done) => film.addEventListener("seeked", done, { once: true }));
  film.currentTime = 0.85;
  await sought;
  seen.late = pixels(film, film.videoWidth, film.videoHeight)[0];
}

async function run() {
  const ct = await (await fetch("ct.dcm")).arrayBuffer();
  const client = new DICOMwebClient.api.DICOMwebClient({ url: root, verbose: false });
  const instance = await viewed(client, ct);
  await fetched(instance);
  await shown(instance);
  seen.deleted = (await fetch(instance, { method: "DELETE" })).status;
  seen.gone = (await fetch(`${instance}/metadata`, { cache: "no-store" })).status;
}

async function stranger() {
  for (const method of ["GET", "POST", "DELETE"]) {
    await fetch(`${root}/studies`, { method }).then(
      () => (seen[method] = "read"),
      () => (seen[method] = "refused"),
    );
  }
}

addEventListener("load", async () => {
  try {
    await (location.search.includes("stranger") ? stranger() : run());
  } catch (error) {
    seen.error = String(error?.stack ?? error) + String(error?.response ?? "");
  }
  await fetch("/report", { method: "POST", body: JSON.stringify(seen) });
});
