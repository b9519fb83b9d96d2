export { default as hello } from "./hello.ts";
export { default as yellowTaxi } from "./yellow_taxi.ts";
