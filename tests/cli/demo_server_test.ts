import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { demoMonth, MONTHS } from "../../cli/_demo_data.ts";
import { demoServer } from "../../cli/_demo_server.ts";
import { gzip } from "../../cli/_gzip.ts";

const HEADER =
  "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance," +
  "RatecodeID,store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax," +
  "tip_amount,tolls_amount,improvement_surcharge,total_amount,congestion_surcharge";

const MONEY = /^-?\d+(\.\d?[1-9])?$/;
const TIME = /^2021-0[1-4]-[0-3]\d [0-2]\d:[0-5]\d:[0-5]\d$/;

/** What each column looks like, and whether it is empty in the rows that came late. */
const COLUMNS: [shape: RegExp, emptyWhenLate: boolean][] = [
  [/^[12]$/, true],
  [TIME, false],
  [TIME, false],
  [/^[0-6]$/, true],
  [/^\d+\.\d\d$/, false],
  [/^[1-5]$/, true],
  [/^[NY]$/, true],
  [/^([1-9]|[1-9]\d|1\d\d|2[0-5]\d|26[0-5])$/, false],
  [/^([1-9]|[1-9]\d|1\d\d|2[0-5]\d|26[0-5])$/, false],
  [/^[1-4]$/, true],
  ...Array.from({ length: 8 }, (): [RegExp, boolean] => [MONEY, false]),
];

function lines(chunks: Iterable<Uint8Array>): string[] {
  const text = [...chunks].map((chunk) => new TextDecoder().decode(chunk)).join("");
  assert.ok(text.endsWith("\n"));
  return text.slice(0, -1).split("\n");
}

async function get(url: string, init?: RequestInit): Promise<[Response, Uint8Array]> {
  const response = await fetch(url, init);
  return [response, new Uint8Array(await response.arrayBuffer())];
}

const JANUARY = "/yellow_tripdata_2021-01.csv.gz";

for (const month of Object.keys(MONTHS) as (keyof typeof MONTHS)[]) {
  Deno.test(`the rows of ${month} look like the real ones`, () => {
    const rows = 20_000;
    const [header, ...body] = lines(demoMonth(month, rows));
    assert.equal(header, HEADER);
    assert.equal(body.length, rows);
    let refunds = 0;
    let bytes = 0;
    body.forEach((line, index) => {
      bytes += line.length + 1;
      const fields = line.split(",");
      assert.equal(fields.length, COLUMNS.length, line);
      const late = index >= rows * 0.93;
      COLUMNS.forEach(([shape, empty], column) => {
        const value = fields[column]!;
        const fits = late && empty ? value === "" : shape.test(value);
        if (!fits) assert.fail(`column ${column} of line ${index + 2}: ${line}`);
      });
      assert.ok(fields[1]! < fields[2]!, line);
      assert.ok(fields[1]!.startsWith(month), line);
      const [fare, extra, tax, tip, tolls, improvement, total, congestion] = fields.slice(10)
        .map((value) => Math.round(Number(value) * 100)) as [
          ...[number, number, number, number],
          ...[number, number, number, number],
        ];
      const apart = fields[0] === "1" ? 0 : congestion;
      assert.equal(total, fare + extra + tax + tip + tolls + improvement + apart, line);
      if (total < 0) refunds++;
    });
    assert.ok(refunds > 10 && refunds < rows / 50, `${refunds} refunds`);
    assert.ok(Math.abs(bytes / rows - 91) < 2, `${bytes / rows} bytes a row`);
  });
}

Deno.test("a month is as long as it is asked for, down to its header alone", () => {
  for (const rows of [0, 1, 2, 14, 15, 3_000]) {
    assert.equal(lines(demoMonth("2021-02", rows)).length, rows + 1);
  }
});

Deno.test("the months have as many rows as the real files, and end in the next month", () => {
  let rows = -1;
  let last = new Uint8Array();
  for (const chunk of demoMonth("2021-01")) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows++;
    last = chunk;
  }
  assert.equal(rows, 1_369_765);
  assert.match(new TextDecoder().decode(last), /,2021-01-31 23:\d\d:00,2021-02-01 00:\d\d:00,/);
  assert.deepEqual([MONTHS["2021-02"], MONTHS["2021-03"]], [1_371_708, 1_925_152]);
});

Deno.test("a month has the same bytes on every machine", () => {
  // Who changes what the generator writes raises its version, and then these.
  const table = {
    "2021-01": "2c2cbf5b63b823a5407c84889722ca79b4b9f573baa3c8dc8bdb5cd0662737b0",
    "2021-02": "ea02cf77b20ce84be1069c38889df1b353692b131fd5ac7352a2acc0a5dc85b0",
    "2021-03": "b74acda354f9ae7e96d1286a5e1c7ce2c95efbbc3674246b47d8e978825ab9cd",
  } as const;
  for (const [month, sum] of Object.entries(table)) {
    const hash = createHash("sha256");
    for (const chunk of demoMonth(month as keyof typeof table, 10_000)) hash.update(chunk);
    assert.equal(hash.digest("hex"), sum);
  }
});

Deno.test("the server gives each month as one gzip file, the same bytes each time", async () => {
  await using server = await demoServer({ rows: 5_000 });
  const files: string[] = [];
  for (const month of Object.keys(MONTHS) as (keyof typeof MONTHS)[]) {
    const url = `${server.url}/yellow_tripdata_${month}.csv.gz`;
    const [response, bytes] = await get(url);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-encoding"), null);
    const text = gunzipSync(bytes).toString();
    assert.deepEqual(text.slice(0, -1).split("\n"), lines(demoMonth(month, 5_000)));
    const [again, sameBytes] = await get(url);
    assert.deepEqual(sameBytes, bytes);
    assert.equal(again.headers.get("etag"), response.headers.get("etag"));
    files.push(response.headers.get("etag")!);
  }
  assert.equal(new Set(files).size, 3);
});

Deno.test("ETags tell rows apart, and a file that did not change is not sent again", async () => {
  await using small = await demoServer({ rows: 10 });
  await using smaller = await demoServer({ rows: 9 });
  const [first] = await get(small.url + JANUARY);
  const [second] = await get(smaller.url + JANUARY);
  const etag = first.headers.get("etag")!;
  assert.match(etag, /^"[^"]+"$/);
  assert.notEqual(second.headers.get("etag"), etag);
  for (const [asked, status] of [[etag, 304], [`"x", W/${etag}`, 304], ["*", 304], ['"x"', 200]]) {
    const headers = { "if-none-match": String(asked) };
    const [response, bytes] = await get(small.url + JANUARY, { headers });
    assert.equal(response.status, status);
    assert.equal(bytes.length === 0, status === 304);
    assert.equal(response.headers.get("etag"), etag);
  }
});

Deno.test("HEAD answers with headers alone, and what is not there with 404", async () => {
  await using server = await demoServer({ rows: 10 });
  const [head, nothing] = await get(server.url + JANUARY, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(nothing.length, 0);
  const [whole] = await get(server.url + JANUARY);
  assert.equal(head.headers.get("etag"), whole.headers.get("etag"));
  for (const path of ["/", "/yellow_tripdata_2021-04.csv.gz", "/yellow_tripdata_toString.csv.gz"]) {
    const [response, bytes] = await get(server.url + path);
    assert.equal(response.status, 404);
    assert.match(new TextDecoder().decode(bytes), /months are 2021-01, 2021-02, 2021-03/);
  }
  const [post] = await get(server.url + JANUARY, { method: "POST", body: "x" });
  assert.equal(post.status, 405);
});

Deno.test("a part of a file is sent when it is still the same file", async () => {
  await using server = await demoServer({ rows: 30_000 });
  const [response, whole] = await get(server.url + JANUARY);
  const etag = response.headers.get("etag")!;
  const { length } = whole;
  const table: [headers: Record<string, string>, status: number, first: number, last: number][] = [
    [{ range: "bytes=0-" }, 206, 0, length - 1],
    [{ range: "bytes=200000-" }, 206, 200_000, length - 1],
    [{ range: "bytes=200000-", "if-range": etag }, 206, 200_000, length - 1],
    [{ range: "bytes=131071-131073" }, 206, 131_071, 131_073],
    [{ range: `bytes=${length - 1}-${length + 50}` }, 206, length - 1, length - 1],
    [{ range: "bytes=200000-", "if-range": '"other"' }, 200, 0, length - 1],
    [{ range: "lines=1-2" }, 200, 0, length - 1],
  ];
  for (const [headers, status, first, last] of table) {
    const [answer, bytes] = await get(server.url + JANUARY, { headers });
    assert.equal(answer.status, status, JSON.stringify(headers));
    const range = status === 206 ? `bytes ${first}-${last}/${length}` : null;
    assert.equal(answer.headers.get("content-range"), range);
    assert.deepEqual(bytes, whole.slice(first, last + 1), JSON.stringify(headers));
  }
  const [past] = await get(server.url + JANUARY, { headers: { range: `bytes=${length}-` } });
  assert.equal(past.status, 416);
  assert.equal(past.headers.get("content-range"), `bytes */${length}`);
});

Deno.test("compression keeps pace with its reader, and ends with it", async () => {
  let made = 0;
  let ended = false;
  function* chunks(): Generator<Uint8Array> {
    try {
      for (const chunk of demoMonth("2021-01")) {
        made++;
        yield chunk;
      }
    } finally {
      ended = true;
    }
  }
  const reader = gzip(chunks()).getReader();
  assert.equal(made, 0);
  for (let read = 1; read <= 5; read++) {
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 50));
    // A chunk of 256 KiB makes less than one of 128 KiB.
    assert.ok(made <= read * 2 + 5, `${made} chunks were made when ${read} had been read`);
  }
  await reader.cancel();
  assert.ok(ended);
});

Deno.test("a client that goes away in the middle leaves the server working", async () => {
  await using server = await demoServer();
  const response = await fetch(server.url + JANUARY);
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  const [head] = await get(server.url + JANUARY, { method: "HEAD" });
  assert.equal(head.status, 200);
});

Deno.test("the server stops when it is told to", async () => {
  const stop = new AbortController();
  await using server = await demoServer({ rows: 10, signal: stop.signal });
  await get(server.url + JANUARY);
  stop.abort();
  await assert.rejects(async () => {
    for (let tries = 0; tries < 100; tries++) {
      await get(server.url + JANUARY);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }, TypeError);
  await assert.rejects(demoServer({ signal: stop.signal }), { name: "AbortError" });
  await assert.rejects(demoServer({ rows: 1.5 }), /Cannot make months of 1.5 rows/);
});
