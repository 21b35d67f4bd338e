import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Element types that our graphs use, by their number in `onnx.proto`'s TensorProto.DataType. */
export const elementTypes = {
	float32: 1,
	uint8: 2,
	int8: 3,
	int32: 6,
	int64: 7,
	bool: 9,
	float16: 10,
} as const;
export type ElementType = keyof typeof elementTypes;

/** Bytes of one element. */
export const elementBytes: Readonly<Record<ElementType, number>> = {
	float32: 4,
	uint8: 1,
	int8: 1,
	int32: 4,
	int64: 8,
	bool: 1,
	float16: 2,
};

/** A length, or the name of one that is known only at run time. */
export type Dimension = number | string;

/** ONNX IR version 10 goes with opset 21; both since ONNX 1.16. */
const irVersion = 10;
const opset = 21;
/** Domain of ONNX Runtime's own operators (`ContribOperators.md`). */
export const contrib = "com.microsoft";

type Attribute = number | string | { readonly float: number } | { readonly graph: OnnxGraph };

/**
 * Writes an ONNX ModelProto piece by piece, straight into the protobuf wire format: field numbers are those of
 * `onnx.proto` (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Weights are not in it: each is external data named
 * after itself, handed to the session beside these bytes, so that they exist once.
 */
export class OnnxGraph {
	readonly #nodes: Uint8Array[] = [];
	readonly #initializers: Uint8Array[] = [];
	readonly #inputs: Uint8Array[] = [];
	readonly #outputs: Uint8Array[] = [];
	readonly #prefix: string;
	#names = 0;

	/** @param prefix - of the names it gives: what is inside a node's branch sees the names around it, and may take none of them */
	constructor(prefix = "") {
		this.#prefix = prefix;
	}

	/** Adds a node and returns the names of its outputs; an empty name stands for an input or output that is left out. */
	node(
		op: string,
		inputs: readonly string[],
		options: {
			outputs?: readonly string[];
			attributes?: Readonly<Record<string, Attribute>>;
			domain?: string;
		} = {},
	): string[] {
		const name = `${this.#prefix}${op}.${this.#names++}`;
		const outputs = options.outputs ?? [name];
		const writer = new BinaryWriter();
		for (const input of inputs) writer.tag(1, WireType.LengthDelimited).string(input);
		for (const output of outputs) writer.tag(2, WireType.LengthDelimited).string(output);
		writer.tag(3, WireType.LengthDelimited).string(name);
		writer.tag(4, WireType.LengthDelimited).string(op);
		for (const [key, value] of Object.entries(options.attributes ?? {})) {
			message(writer, 5, (attribute) => writeAttribute(attribute, key, value));
		}
		if (options.domain) writer.tag(7, WireType.LengthDelimited).string(options.domain);
		this.#nodes.push(writer.finish());
		return [...outputs];
	}

	/** Declares a weight, whose bytes come as the external file of its name, and returns that name. */
	weight(name: string, type: ElementType, shape: readonly number[], bytes: number): string {
		const writer = new BinaryWriter();
		for (const dimension of shape) writer.tag(1, WireType.Varint).int64(dimension);
		writer.tag(2, WireType.Varint).int32(elementTypes[type]);
		writer.tag(8, WireType.LengthDelimited).string(name);
		for (const [key, value] of [
			["location", name],
			["offset", "0"],
			["length", String(bytes)],
		] as const) {
			message(writer, 13, (entry) => {
				entry.tag(1, WireType.LengthDelimited).string(key);
				entry.tag(2, WireType.LengthDelimited).string(value);
			});
		}
		writer.tag(14, WireType.Varint).int32(1);
		this.#initializers.push(writer.finish());
		return name;
	}

	/** A small constant of int64 values inside the graph: shape inference cannot read external data. */
	constant(name: string, values: readonly number[]): string {
		const writer = new BinaryWriter();
		writer.tag(1, WireType.Varint).int64(values.length);
		writer.tag(2, WireType.Varint).int32(elementTypes.int64);
		writer.tag(8, WireType.LengthDelimited).string(name);
		writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
		this.#initializers.push(writer.finish());
		return name;
	}

	input(name: string, type: ElementType, shape: readonly Dimension[]): string {
		this.#inputs.push(valueInfo(name, type, shape));
		return name;
	}

	output(name: string, type: ElementType, shape: readonly Dimension[]): string {
		this.#outputs.push(valueInfo(name, type, shape));
		return name;
	}

	/** The whole ModelProto. */
	encode(): Uint8Array<ArrayBuffer> {
		const writer = new BinaryWriter();
		writer.tag(1, WireType.Varint).int64(irVersion);
		writer.tag(2, WireType.LengthDelimited).string("tabmesh");
		message(writer, 7, (graph) => this.write(graph));
		for (const [domain, version] of [
			["", opset],
			[contrib, 1],
		] as const) {
			message(writer, 8, (entry) => {
				entry.tag(1, WireType.LengthDelimited).string(domain);
				entry.tag(2, WireType.Varint).int64(version);
			});
		}
		return writer.finish() as Uint8Array<ArrayBuffer>;
	}

	/** The GraphProto alone: what a node runs as one of its branches. */
	write(writer: BinaryWriter): void {
		for (const node of this.#nodes) writer.tag(1, WireType.LengthDelimited).bytes(node);
		writer.tag(2, WireType.LengthDelimited).string(`${this.#prefix}span`);
		for (const weight of this.#initializers) writer.tag(5, WireType.LengthDelimited).bytes(weight);
		for (const input of this.#inputs) writer.tag(11, WireType.LengthDelimited).bytes(input);
		for (const output of this.#outputs) writer.tag(12, WireType.LengthDelimited).bytes(output);
	}
}

function message(writer: BinaryWriter, field: number, write: (nested: BinaryWriter) => void): void {
	writer.tag(field, WireType.LengthDelimited).fork();
	write(writer);
	writer.join();
}

function writeAttribute(writer: BinaryWriter, name: string, value: Attribute): void {
	writer.tag(1, WireType.LengthDelimited).string(name);
	// AttributeProto.type, field 20: FLOAT 1, INT 2, STRING 3, GRAPH 5.
	if (typeof value === "number") {
		writer.tag(3, WireType.Varint).int64(value);
		writer.tag(20, WireType.Varint).int32(2);
	} else if (typeof value === "string") {
		writer.tag(4, WireType.LengthDelimited).string(value);
		writer.tag(20, WireType.Varint).int32(3);
	} else if ("graph" in value) {
		message(writer, 6, (graph) => value.graph.write(graph));
		writer.tag(20, WireType.Varint).int32(5);
	} else {
		writer.tag(2, WireType.Bit32).float(value.float);
		writer.tag(20, WireType.Varint).int32(1);
	}
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): Uint8Array {
	const writer = new BinaryWriter();
	writer.tag(1, WireType.LengthDelimited).string(name);
	message(writer, 2, (typeProto) =>
		message(typeProto, 1, (tensorType) => {
			tensorType.tag(1, WireType.Varint).int32(elementTypes[type]);
			message(tensorType, 2, (shapeProto) => {
				for (const dimension of shape) {
					message(shapeProto, 1, (dim) => {
						if (typeof dimension === "number") dim.tag(1, WireType.Varint).int64(dimension);
						else dim.tag(2, WireType.LengthDelimited).string(dimension);
					});
				}
			});
		}),
	);
	return writer.finish();
}
