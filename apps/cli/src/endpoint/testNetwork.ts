// A relay with two tiny models, lenders, and an asker, all real, in one process; for this folder's tests.
import { connect, type Lender, type Tabmesh } from "@tabmesh/client";
import { type ModelSource, openModelFiles, publishModel } from "@tabmesh/model";
import { openSeededModel, tinyHubModel } from "@tabmesh/model/testing";
import { type Relay, startRelay } from "@tabmesh/relay";
import { pino } from "pino";
import { modelRoutes } from "../modelRoutes.ts";
import { type Endpoint, type EndpointOptions, startEndpoint } from "./startEndpoint.ts";

/** Every message between its role and an end, what the tools are, and how they are called: otherwise than models are told by default. */
const chatTemplate = `{% if tools %}tools:{{ tools | tojson }}
{% endif %}{% for message in messages %}{{ message.role }}:{{ message.content }}{% for call in message.tool_calls or [] %}{{ "" if loop.first else "\n" }}CALL {"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}!{% endfor %}

{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`;

/** A model of a hub's kind that chats, in nonsense. */
async function openChatModel(): Promise<ModelSource> {
	const { files } = await tinyHubModel({ shape: { layers: 4, contextLength: 2048 } });
	files.set(
		"tokenizer_config.json",
		new TextEncoder().encode(
			JSON.stringify({ bos_token: "<s>", eos_token: "</s>", chat_template: chatTemplate }),
		),
	);
	return openModelFiles([...files].map(([name, content]) => new File([content], name)));
}

export class TestNetwork {
	readonly #relay: Relay;
	readonly #open: { close(): Promise<void> }[] = [];
	readonly #lenders: Lender[] = [];

	private constructor(relay: Relay) {
		this.#relay = relay;
	}

	/** With the models `chat`, which has a template, and `story`, which has none. */
	static async start(): Promise<TestNetwork> {
		const sources = { chat: await openChatModel(), story: await openSeededModel({ seed: 7, layers: 4 }) };
		const served = await Promise.all(
			Object.entries(sources).map(async ([name, source]) => ({
				name,
				source,
				published: await publishModel(source),
			})),
		);
		const routes = modelRoutes(served);
		return new TestNetwork(
			await startRelay({
				port: 0,
				site: () => ({ room: "public", models: routes.models, minStages: 2 }),
				extraRoutes: { [routes.prefix]: (request) => routes.handle(request) },
			}),
		);
	}

	async join(): Promise<Tabmesh> {
		const mesh = await connect({ relay: this.#relay.url });
		this.#open.push(mesh);
		while (mesh.models.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
		return mesh;
	}

	/** Two devices that hold all of `model` between them. */
	async lend(model: string): Promise<void> {
		const lenders = (await Promise.all([this.join(), this.join()])).map((mesh) =>
			mesh.lend({ model, memoryBytes: 64e6 }),
		);
		this.#lenders.push(...lenders);
		for (const lender of lenders) {
			while (lender.view.phase !== "serving") {
				await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
			}
		}
	}

	/** Streams that lenders serve now. */
	get streams(): number {
		return this.#lenders.reduce((sum, { view }) => sum + view.streams, 0);
	}

	async serve(mesh: Tabmesh, options: Partial<EndpointOptions> = {}): Promise<Endpoint> {
		const endpoint = await startEndpoint({
			mesh,
			port: 0,
			host: "127.0.0.1",
			apiKeys: [],
			corsOrigins: [],
			waitMs: 15_000,
			logger: pino({ level: "silent" }),
			...options,
		});
		this.#open.unshift({ close: () => endpoint.stop() });
		return endpoint;
	}

	async stop(): Promise<void> {
		for (const each of this.#open.splice(0)) await each.close();
		await this.#relay.stop();
	}
}
