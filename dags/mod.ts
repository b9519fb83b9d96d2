export { default as yellowTaxi } from "./yellow_taxi.ts";
