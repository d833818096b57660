// Every method of npm's dicomweb-client, and dcmjs both ways, against a live server.
//
//   node clients.mjs BASE FOLDER
//
// BASE is http://host:port, FOLDER holds ct.dcm (one native frame), frames.dcm (several native frames) and
// jls.dcm (JPEG-LS). Prints one JSON object: what was seen, for the test that runs it, and the methods called.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import dcmjs from "dcmjs";
import dicomweb from "dicomweb-client";
import XMLHttpRequest from "xhr2";

console.log = console.debug = console.info = console.error; // standard output is for the report
globalThis.XMLHttpRequest = XMLHttpRequest;
dcmjs.log?.setLevel?.("silent");

const [base, folder] = process.argv.slice(2);
const { DICOMwebClient } = dicomweb.api;
const called = new Set();
const seen = {};

function watched(client) {
  return new Proxy(client, {
    get(target, name) {
      const member = target[name];
      if (typeof member !== "function") return member;
      return (...args) => {
        called.add(name);
        return member.apply(target, args);
      };
    },
  });
}

function file(name) {
  const data = readFileSync(join(folder, name));
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
}

function parsed(buffer) {
  const message = dcmjs.data.DicomMessage.readFile(buffer);
  const data = dcmjs.data.DicomMetaDictionary.naturalizeDataset(message.dict);
  return { message, data };
}

function place(data) {
  return {
    studyInstanceUID: data.StudyInstanceUID,
    seriesInstanceUID: data.SeriesInstanceUID,
    sopInstanceUID: data.SOPInstanceUID,
  };
}

const octets = (data) => Buffer.from(data).toString("base64");
const first = (value) => (Array.isArray(value) ? value[0] : value);
const client = watched(new DICOMwebClient({ url: `${base}/dicom-web`, verbose: false }));

async function stores() {
  const files = ["ct.dcm", "frames.dcm", "jls.dcm"].map(file);
  seen.store = await client.storeInstances({ datasets: files });
  const { message, data } = parsed(file("ct.dcm"));
  const uid = dcmjs.data.DicomMetaDictionary.uid();
  message.dict["00080018"].Value = [uid];
  message.meta["00020003"].Value = [uid];
  message.upsertTag?.("00204000", "LT", ["written by dcmjs"]);
  const written = message.write();
  seen.storeOfDcmjs = await client.storeInstances({ datasets: [written], studyInstanceUID: data.StudyInstanceUID });
  const [got] = [await client.retrieveInstance({ ...place(data), sopInstanceUID: uid })].flat();
  const again = parsed(got).data;
  assert.equal(again.SOPInstanceUID, uid);
  assert.equal(octets(first(again.PixelData)), octets(first(data.PixelData)));
  seen.writtenByDcmjs = uid;
}

async function searches() {
  const { data } = parsed(file("ct.dcm"));
  const queryParams = { StudyInstanceUID: data.StudyInstanceUID };
  seen.studies = await client.searchForStudies({ queryParams });
  seen.series = await client.searchForSeries({ studyInstanceUID: data.StudyInstanceUID });
  seen.allSeries = (await client.searchForSeries()).length;
  seen.instances = await client.searchForInstances({ ...place(data), queryParams: { limit: 10 } });
  seen.allInstances = (await client.searchForInstances({ queryParams: { limit: 100 } })).length;
  seen.nothing = await client.searchForStudies({ queryParams: { PatientID: "nobody at all" } });
  seen.viewer = await client.searchForStudies({
    queryParams: { PatientName: "*", limit: 101, offset: 0, fuzzymatching: true, includefield: "00081030,00080060" },
  });
  await assert.rejects(client.searchForStudies({ queryParams: { limit: "x" } }), { status: 400 });
}

async function metadata() {
  const where = place(parsed(file("ct.dcm")).data);
  seen.studyMetadata = (await client.retrieveStudyMetadata(where)).length;
  seen.seriesMetadata = (await client.retrieveSeriesMetadata(where)).length;
  const one = await client.retrieveInstanceMetadata(where);
  const natural = dcmjs.data.DicomMetaDictionary.naturalizeDataset(one[0] ?? one);
  seen.naturalized = { PatientID: natural.PatientID, Rows: natural.Rows, SOPInstanceUID: natural.SOPInstanceUID };
  return one[0] ?? one;
}

async function objects() {
  const ct = parsed(file("ct.dcm"));
  const where = place(ct.data);
  const whole = parsed(await client.retrieveInstance(where));
  assert.equal(octets(first(whole.data.PixelData)), octets(first(ct.data.PixelData)));
  seen.seriesObjects = (await client.retrieveSeries(where)).map((b) => parsed(b).data.SOPInstanceUID);
  seen.studyObjects = (await client.retrieveStudy(where)).map((b) => parsed(b).data.SOPInstanceUID);
  // It asks without a transfer syntax: what is compressed comes decoded (PS3.18 8.7.3.4).
  const [decoded] = await client.retrieveStudy(place(parsed(file("jls.dcm")).data));
  seen.decodedSyntax = parsed(decoded).message.meta["00020010"].Value[0];
}

async function frames() {
  const many = parsed(file("frames.dcm")).data;
  seen.frames = (await client.retrieveInstanceFrames({ ...place(many), frameNumbers: [3, 1] })).map(octets);
  const jls = parsed(file("jls.dcm")).data;
  const where = { ...place(jls), frameNumbers: [1] };
  seen.decoded = octets(first(await client.retrieveInstanceFrames(where)));
  const asStored = await client.retrieveInstanceFrames({
    ...where,
    mediaTypes: [
      { mediaType: "application/octet-stream", transferSyntaxUID: "1.2.840.10008.1.2.1" },
      { mediaType: "image/jls", transferSyntaxUID: "1.2.840.10008.1.2.4.80" },
    ],
  });
  seen.asStored = octets(first(asStored));
  const image = [{ mediaType: "image/jls", transferSyntaxUID: "1.2.840.10008.1.2.4.80" }];
  seen.asImage = octets(first(await client.retrieveInstanceFrames({ ...where, mediaTypes: image })));
}

async function bulk(dataset) {
  const BulkDataURI = dataset["7FE00010"].BulkDataURI;
  const types = [{ mediaType: "application/octet-stream" }];
  seen.bulk = octets(first(await client.retrieveBulkData({ BulkDataURI })));
  seen.bulkTyped = octets(first(await client.retrieveBulkData({ BulkDataURI, mediaTypes: types })));
  const single = watched(new DICOMwebClient({ url: `${base}/dicom-web`, singlepart: "bulkdata", verbose: false }));
  const headers = { Accept: "application/octet-stream", Range: "bytes=10-29" };
  seen.bulkRange = octets(first(await single.retrieveBulkData({ BulkDataURI, headers })));
}

async function rendered() {
  const where = place(parsed(file("ct.dcm")).data);
  const ranges = { ...place(parsed(file("frames.dcm")).data), frameNumbers: [2] };
  const png = [{ mediaType: "image/png" }];
  seen.rendered = octets(first(await client.retrieveInstanceRendered(where)));
  seen.renderedPng = octets(
    first(await client.retrieveInstanceRendered({ ...where, mediaTypes: png, queryParams: { viewport: "64,64" } })),
  );
  seen.thumbnail = octets(first(await client.retrieveInstanceThumbnail(where)));
  seen.framesRendered = octets(first(await client.retrieveInstanceFramesRendered({ ...ranges, mediaTypes: png })));
  seen.framesThumbnail = octets(first(await client.retrieveInstanceFramesThumbnail(ranges)));
}

async function uriService() {
  const where = place(parsed(file("ct.dcm")).data);
  const uri = watched(new DICOMwebClient({ url: `${base}/wado`, verbose: false }));
  const url = uri.buildInstanceWadoURIUrl(where);
  const answer = await fetch(url);
  assert.equal(answer.status, 200, await (answer.ok ? "" : answer.text()));
  assert.equal(parsed(await answer.arrayBuffer()).data.SOPInstanceUID, where.sopInstanceUID);
}

client.setDebug(false);
client.setVerbose(false);
assert.equal(client.getDebug(), false);
assert.equal(client.getVerbose(), false);
await stores();
await searches();
const dataset = await metadata();
await objects();
await frames();
await bulk(dataset);
await rendered();
await uriService();

const methods = Object.getOwnPropertyNames(DICOMwebClient.prototype).filter(
  (name) => name !== "constructor" && !name.startsWith("_") && typeof DICOMwebClient.prototype[name] === "function",
);
process.stdout.write(JSON.stringify({ seen, missed: methods.filter((name) => !called.has(name)) }));
