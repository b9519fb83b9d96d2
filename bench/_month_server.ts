// Serves one gzip file over loopback HTTP, in a thread of its own.
const bench = self as unknown as Worker;
const { path } = await new Promise<{ path: string }>((resolve) => {
  bench.onmessage = ({ data }: MessageEvent) => resolve(data);
});

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
  const file = await Deno.open(path);
  const { size } = await file.stat();
  return new Response(file.readable, {
    headers: { "content-length": String(size), etag: '"bench"' },
  });
});
bench.postMessage({ port: server.addr.port });
