import { memory } from "../../engine/mod.ts";
import { storeConformance } from "./_store_conformance.ts";

storeConformance("memory", () => Promise.resolve(memory()));
