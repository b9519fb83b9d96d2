import { type Field, Schema, type TypeMap } from "apache-arrow";

/**
 * A schema of many batches. Arrow merges the fields of each new batch into its schema, which makes all of them and their
 * metadata anew, a third of the garbage of a load; here, what is the same stays the same.
 */
export class SteadySchema extends Schema {
  override assign<R extends TypeMap>(
    ...given: (Schema<R> | Field<R[keyof R]> | Field<R[keyof R]>[])[]
  ): Schema<TypeMap & R> {
    const [fields] = given, { length } = this.fields;
    const same = Array.isArray(fields) && fields.length === length &&
      fields.every((field, i) => field === this.fields[i]);
    return same ? this : super.assign(...given as Field<R[keyof R]>[]);
  }
}
