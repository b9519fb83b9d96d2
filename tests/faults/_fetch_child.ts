// Downloads what stands at an address, as a process that may do only what it is let; prints what came of it.

import { http } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";

try {
  let bytes = 0;
  for await (const chunk of await perform(http({ url: Deno.args[0]! }), testContext())) {
    bytes += chunk.length;
  }
  console.log(`${bytes} bytes`);
} catch (error) {
  console.log(`${(error as Error).name}: ${(error as Error).message}`);
}
