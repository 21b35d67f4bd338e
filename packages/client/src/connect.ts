import type { Cstore } from "@tabmesh/cstore";
import {
	admitToRoom,
	createEnvelopeSigner,
	type EnvelopeSigner,
	keepsakesExist,
	openIdentity,
	type PeerIdentity,
} from "@tabmesh/dauth";
import { createDirectory, type Directory, type Member } from "@tabmesh/directory";
import type { ShardSource } from "@tabmesh/model";
import { Experience, type Explanation, explain, stageFeatures } from "@tabmesh/pipeline";
import { createR1fs, openBlockStore, type R1fs } from "@tabmesh/r1fs";
import { type ConnectionView, createPeer, type Peer } from "@tabmesh/transport";
import {
	InvalidParameterError,
	ModelNotFoundError,
	type Site,
	StorageQuotaError,
	type TabmeshError,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import { KeptHistory } from "./deviceHistory.ts";
import { DeviceLender } from "./deviceLender.ts";
import { KeptPreferences } from "./devicePreferences.ts";
import type { DeviceStorage } from "./deviceStorage.ts";
import { type EnteredRoom, enterRoom } from "./enterRoom.ts";
import { readLeftAnswer } from "./leftAnswer.ts";
import { modelView } from "./modelView.ts";
import { fetchNetworkModel, type NetworkModel } from "./networkModel.ts";
import { NetworkWallet, type WalletNetwork } from "./networkWallet.ts";
import { OwnPart } from "./ownPart.ts";
import { R1fsStorage } from "./r1fsStorage.ts";
import { readSite } from "./readSite.ts";
import { ReceiptBook } from "./receiptBook.ts";
import { recordLending } from "./recordLending.ts";
import { RoomState } from "./roomState.ts";
import { RoomProviders } from "./sharedFiles.ts";
import type {
	ConnectOptions,
	Embedding,
	EmbedOptions,
	GenerateOptions,
	Generation,
	Lender,
	LendOptions,
	ModelView,
	SharedFiles,
	Tabmesh,
	TabmeshEvents,
} from "./tabmesh.ts";
import { embedText } from "./textEmbedding.ts";
import { type GenerationNetwork, TextGeneration } from "./textGeneration.ts";
import { weightSource } from "./weightSource.ts";

/** Program and version, as other peers' logs show it. */
const agent = "tabmesh/0.1.0";

/** Where a network has no chain of its own: every wallet knows this one, and a signature for it costs nothing. */
const mainnet = 1;

/**
 * Reaches the network behind a relay's site. Looking and asking cost this device nothing but a connection.
 *
 * @throws PeerUnreachableError, MalformedMessageError, InsecureOriginError, KeyStorageError; CapabilityError where the
 * room is private and the invitation is missing, over, or not for it
 *
 * @example
 * ```ts
 * import { connect } from "@tabmesh/client";
 * const mesh = await connect({ relay: "https://relay.example.org" });
 * for await (const { text } of mesh.generate({ prompt: "Once upon a time" })) process.stdout.write(text);
 * await mesh.close();
 * ```
 */
export async function connect(options: ConnectOptions = {}): Promise<Tabmesh> {
	const relay = options.relay ?? globalThis.location?.origin;
	if (!relay) {
		throw new InvalidParameterError("Outside a page the address of a relay is needed.", {
			metaMessages: ['Give it as `relay`, for example "http://localhost:8787".'],
		});
	}
	const opening = openIdentity(options.keyFile === undefined ? {} : { file: options.keyFile });
	const site = await readSite(relay, options.signal).catch(async (error) => {
		await opening.then(
			(identity) => identity.release(),
			() => {},
		);
		throw error;
	});
	const closing = new AbortController();
	const models = site.models.map((listed) => fetchNetworkModel(relay, listed, closing.signal));
	// Whoever asks for the model gets the error.
	for (const model of models) model.catch(() => {});
	let mesh: ConnectedTabmesh | undefined;
	// Before the transport listens there, which ends the connections: listeners of a window are called in the order in which they came.
	const onPageHide = (): void => void mesh?.close();
	globalThis.addEventListener?.("pagehide", onPageHide);
	closing.signal.addEventListener("abort", () => globalThis.removeEventListener?.("pagehide", onPageHide));
	const identity = await opening;
	let peer: Peer | undefined;
	try {
		const entry = await enterRoom({ ...options, siteRoom: site.room, identity });
		peer = await createPeer({
			identity,
			relays: site.relays,
			agent,
			features: stageFeatures,
			...(site.iceServers ? { iceServers: site.iceServers as RTCIceServer[] } : {}),
			...(options.signal ? { signal: options.signal } : {}),
		});
		const signer = createEnvelopeSigner(identity);
		const directory = await createDirectory({ peer, identity, ...entry });
		mesh = new ConnectedTabmesh({
			...entry,
			site,
			models,
			closing,
			identity,
			peer,
			signer,
			directory,
			cache: options.cacheDir,
			chain: options.chain ?? site.chain ?? { id: mainnet },
			walletDir: options.walletDir,
		});
		await beginToAct(mesh, options);
		return mesh;
	} catch (error) {
		closing.abort();
		await peer?.stop();
		await identity.release();
		throw error;
	}
}

/**
 * Acts for the wallet that was given, or goes on acting for the one that delegated before.
 *
 * @throws what `delegate` throws; the connection is closed then
 */
async function beginToAct(mesh: Tabmesh, { wallet, walletDir }: ConnectOptions): Promise<void> {
	if (!wallet) {
		const folder = walletDir === undefined ? {} : { folder: walletDir };
		// Beside everything else: nobody waits for it, and where it fails the wallet's panel tells.
		void keepsakesExist(folder).then(async (exist) => {
			if (exist) await mesh.wallet.load().catch(() => {});
		});
		return;
	}
	try {
		await mesh.wallet.use(wallet);
		await mesh.wallet.delegate();
	} catch (error) {
		await mesh.close();
		throw error;
	}
}

interface Parts extends EnteredRoom {
	readonly site: Site;
	/** In the site's order. */
	readonly models: readonly Promise<NetworkModel>[];
	/** Aborted when the connection is closed. */
	readonly closing: AbortController;
	readonly identity: PeerIdentity;
	readonly peer: Peer;
	readonly signer: EnvelopeSigner;
	readonly directory: Directory;
	readonly cache: string | undefined;
	readonly chain: WalletNetwork["chain"];
	readonly walletDir: string | undefined;
}

class ConnectedTabmesh extends TypedEventEmitter<TabmeshEvents> implements Tabmesh {
	readonly storage: DeviceStorage = new R1fsStorage(() => this.#openFiles());
	readonly wallet: NetworkWallet;
	readonly private: OwnPart;
	readonly preferences = new KeptPreferences();
	readonly history = new KeptHistory();
	readonly #parts: Parts;
	readonly #known: NetworkModel[] = [];
	readonly #sources = new Map<string, ShardSource>();
	readonly #state: RoomState;
	readonly #providers: RoomProviders;
	readonly #receipts: ReceiptBook;
	#files: Promise<R1fs> | undefined;
	#lender: Lender | undefined;
	#views: readonly ModelView[] | undefined;
	readonly #experience = new Experience();

	constructor(parts: Parts) {
		super();
		this.#parts = parts;
		const { cache, capability, chain, identity, peer, room, walletDir: folder } = parts;
		this.#state = new RoomState(
			{ peer, identity, room, ...(capability === undefined ? {} : { capability }) },
			cache === undefined ? undefined : `${cache}/state.sqlite`,
		);
		this.#providers = new RoomProviders({
			directory: parts.directory,
			peer,
			state: () => this.state(),
		});
		this.#receipts = new ReceiptBook({
			peer: peer.id,
			files: () => this.#openFiles(),
			onNotice: this.#onNotice,
		});
		this.private = new OwnPart({
			model: (name) => this.#model(name),
			source: (model) => this.#source(model),
		});
		this.wallet = new NetworkWallet({ chain, identity, folder, state: () => this.state() });
		for (const model of parts.models) {
			model.then(
				(known) => {
					// In the site's order, whichever arrives first.
					this.#known.push(known);
					this.#known.sort((a, b) => this.#rank(a) - this.#rank(b));
					this.#onSwarm();
				},
				() => {},
			);
		}
		parts.directory.addEventListener("change", this.#onSwarm);
		parts.peer.addEventListener("connect", this.#onConnection);
		parts.peer.addEventListener("disconnect", this.#onConnection);
		parts.peer.addEventListener("relay", this.#onConnection);
	}

	get peer(): string {
		return this.#parts.peer.id;
	}

	get room(): string {
		return this.#parts.room;
	}

	get directory(): Directory {
		return this.#parts.directory;
	}

	get members(): readonly Member[] {
		return this.#parts.directory.members;
	}

	get connections(): readonly ConnectionView[] {
		return this.#parts.peer.connections;
	}

	get models(): readonly ModelView[] {
		this.#views ??= this.#known.map((model) => modelView(model, this.members, this.#parts.site.minStages));
		return this.#views;
	}

	explain(model?: string): readonly Explanation[] {
		const known = this.#known.find(({ id, name }) => model === undefined || id === model || name === model);
		return known ? explain(this.members, known, { minStages: this.#parts.site.minStages }) : [];
	}

	generate(options: GenerateOptions): Generation {
		return new TextGeneration(this.#forAnswers, options);
	}

	embed(options: EmbedOptions): Promise<Embedding> {
		return embedText(this.#forAnswers, options);
	}

	resume(left: string, options?: Parameters<Tabmesh["resume"]>[1]): Generation {
		const { constraint, peer, sampling, stream, ...asked } = readLeftAnswer(left);
		// Another key than then: no stage gives us what it keeps, and all of it is computed again, in another stream.
		const mine =
			peer === this.peer
				? stream
				: { ...stream, stream: crypto.randomUUID().replaceAll("-", ""), generation: 0 };
		return new TextGeneration(
			this.#forAnswers,
			{ ...asked, ...sampling, ...(constraint ? { constraint } : {}), ...options },
			mine,
		);
	}

	get #forAnswers(): GenerationNetwork {
		const { capability, peer, signer, directory, room, site } = this.#parts;
		return {
			peer,
			signer,
			directory,
			room,
			...(capability === undefined ? {} : { capability }),
			minStages: site.minStages,
			chainId: site.chain?.id ?? 0,
			experience: this.#experience,
			ownPart: this.private,
			model: (name) => this.#model(name),
			source: (model) => this.#source(model),
		};
	}

	lend(options: LendOptions): Lender {
		if (this.#lender && !["left", "failed"].includes(this.#lender.view.phase)) {
			throw new InvalidParameterError("This tab lends already.", {
				metaMessages: ["Leave first, or open another tab."],
			});
		}
		const { capability, peer, directory, identity, room, signer, site } = this.#parts;
		this.#lender = new DeviceLender(
			{
				peer,
				signer,
				chainId: site.chain?.id ?? 0,
				// In Node without a folder there is nowhere to keep them.
				onReceipt: (signed) => this.#keepsFiles && this.#receipts.add(signed),
				directory,
				room,
				admit: () => admitToRoom({ room, capability, peer: identity.peer, action: "lend" }),
				minStages: site.minStages,
				kind: "document" in globalThis ? "page" : "node",
				model: (name) => this.#model(name),
				source: (model) => this.#source(model),
				hold: async (model) => (await this.#openFiles()).hold(model.id),
				storage: this.#keepsFiles ? this.storage : undefined,
				keepForAskers: (model) => this.#keepForAskers(model),
				preferences: this.preferences,
			},
			options,
		);
		recordLending(this.#lender, this.history);
		return this.#lender;
	}

	state(): Promise<Cstore> {
		return this.#state.open();
	}

	async files(): Promise<SharedFiles> {
		const files = await this.#openFiles();
		await this.#providers.share(files);
		return files;
	}

	async close(): Promise<void> {
		const { closing, directory, peer, identity } = this.#parts;
		if (closing.signal.aborted) return;
		closing.abort();
		directory.removeEventListener("change", this.#onSwarm);
		await this.#lender?.leave();
		this.preferences.close();
		await this.history.close();
		await this.private.free();
		await this.#receipts.close();
		await this.wallet.close();
		await this.#state.close();
		await directory.stop();
		await peer.stop();
		await (await this.#files)?.close();
		await identity.release();
	}

	readonly #onSwarm = (): void => {
		this.#views = undefined;
		this.dispatchEvent(new Event("swarm"));
	};

	readonly #onConnection = (): void => {
		this.dispatchEvent(new Event("connections"));
	};

	readonly #onNotice = (error: TabmeshError): void => {
		this.dispatchEvent(new CustomEvent("notice", { detail: error }));
	};

	/** Opened when the first byte of a model or file is needed: looking costs this device nothing. */
	#openFiles(): Promise<R1fs> {
		const { cache, directory, peer } = this.#parts;
		const onDegraded = ({ message }: { message: string }): void =>
			this.#onNotice(new StorageQuotaError(message));
		this.#files ??= openBlockStore({
			// Nothing is kept in memory, either: what is loaded lies there already.
			...(this.#keepsFiles ? {} : { budgetBytes: 0 }),
			...(cache === undefined ? {} : { folder: cache }),
			onDegraded,
		}).then((store) =>
			createR1fs({
				store,
				peer,
				providers: this.#providers,
				// Who only asks gives nothing away.
				maySend: (to) =>
					((this.#lends() && this.preferences.view.wishes.givesLayers) || this.#providers.shares) &&
					(directory.allows(to, "lend") || directory.allows(to, "ask")),
			}),
		);
		return this.#files;
	}

	/** In Node nothing is kept unless a folder is given. */
	get #keepsFiles(): boolean {
		return "indexedDB" in globalThis || this.#parts.cache !== undefined;
	}

	async #keepForAskers(model: NetworkModel): Promise<void> {
		if (!this.#keepsFiles) return;
		const { signal } = this.#parts.closing;
		for (const tensor of model.manifest.tensors) {
			if (tensor.type === "BLOB") await this.#source(model).read(model, tensor, { signal });
		}
	}

	#lends(): boolean {
		const phase = this.#lender?.view.phase;
		return phase === "waiting" || phase === "loading" || phase === "serving";
	}

	#rank(model: NetworkModel): number {
		return this.#parts.site.models.findIndex((listed) => listed.id === model.id);
	}

	async #model(nameOrId: string | undefined): Promise<NetworkModel> {
		const { models } = this.#parts.site;
		const index =
			nameOrId === undefined ? 0 : models.findIndex(({ id, name }) => id === nameOrId || name === nameOrId);
		const model = this.#parts.models[index];
		if (model) return model;
		throw new ModelNotFoundError(
			nameOrId === undefined
				? "This network serves no model."
				: `This network serves no model called "${nameOrId.slice(0, 100)}".`,
			{ metaMessages: models.length > 0 ? [`It serves ${models.map(({ name }) => name).join(", ")}.`] : [] },
		);
	}

	#source(model: NetworkModel): ShardSource {
		const known = this.#sources.get(model.id);
		if (known) return known;
		const source = weightSource(model, { files: this.#openFiles(), onNotice: this.#onNotice });
		this.#sources.set(model.id, source);
		return source;
	}
}
