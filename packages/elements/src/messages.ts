import type { LenderView } from "@tabmesh/client";

/** Texts that depend on numbers or names say so by being functions; a translation is another object of this shape. */
export const english = {
	unknownPeer: "Unknown peer",
	thisTab: "this tab",
	tryAgain: "Try again",
	cancel: "Cancel",
	dismiss: "All right",
	notLoaded: "The rest of this page could not be loaded.",
	notLoadedStep: "Is this device online? Try again when it is, or reload the page.",
	unexpected: "Something went wrong that Tabmesh did not foresee.",
	unexpectedStep: "Reload the page. If it happens again, please tell us what you did before.",

	update: {
		ready: "A new version of Tabmesh is ready.",
		reload: "Reload now",
		later: "Later",
	},

	layers: {
		one: (layer: number) => `layer ${layer}`,
		many: (first: number, last: number) => `layers ${first}–${last}`,
		embedding: "embedding",
		head: "output head",
		of: (span: string, layers: number) => `${span} of ${layers}`,
		held: (span: string, layers: number) => `This tab holds ${span} of ${layers}.`,
		coverage: (held: number, layers: number) =>
			held === layers ? `All ${layers} layers are held.` : `${held} of ${layers} layers are held.`,
	},

	ring: {
		label: (stages: number) =>
			stages === 1 ? "The ring of one peer that serves" : `The ring of ${stages} peers that serve`,
		you: "you",
		opening: "opening",
		preparing: (percent: number) => `compiling ${percent} %`,
		lost: "lost",
		peer: (name: string) => `Peer ${name}`,
		ms: (value: string) => `${value} ms`,
		empty: "When somebody answers, the peers that do it appear here, in the order of their layers.",
	},

	swarm: {
		title: "The swarm",
		lenders: (count: number) =>
			count === 0 ? "Nobody lends yet" : count === 1 ? "1 peer lends" : `${count} peers lend`,
		loading: (count: number) =>
			count === 1 ? "1 peer is getting its layers ready" : `${count} peers are getting their layers ready`,
		complete: (copies: number) =>
			copies > 1 ? `Every layer is held at least ${copies} times` : "Every layer is held",
		missing: (size: string) => `${size} of memory missing`,
		layer: (layer: number, holders: number) =>
			`Layer ${layer}: ${holders === 1 ? "1 peer" : `${holders} peers`}`,
	},

	invite: {
		open: "Open the lending page",
		copy: "Copy link",
		copied: "Copied",
		scan: "Scan to bring in a phone",
	},

	lend: {
		title: "Lend this tab to a language model",
		lede: "One model, spread over many browsers: your tab keeps a few of its layers in memory and computes them whenever somebody asks.",
		memory: "Memory to lend",
		memoryHint: (gigabytes: number) => `Your browser reports ${gigabytes} GB on this device.`,
		memoryHintUnknown: "Your browser does not say how much this device has; start small.",
		sharedTitle: "What you share",
		shared: (memory: string) => [
			`Up to ${memory} of memory, while this tab is open`,
			"Computing time, only while somebody asks",
			"Disk: layers that this tab serves or may serve next, within the limit under Storage",
			"Your network address, with the peers you work with",
		],
		keptTitle: "What stays yours",
		kept: [
			"Files, other tabs and history: a web page cannot see them",
			"Your name: there is no account, only a key made in this browser",
			"The off switch: pause or leave at any moment, or close the tab",
		],
		privacyTitle: "You may see what people write",
		privacy:
			"Whoever holds the first layers can read the prompts that pass through, and whoever holds the last can read the answers. If that turns out to be your tab, treat them like a letter that is not addressed to you.",
		details: "Details",
		model: "Model",
		modelDefault: "What this network serves",
		backend: "Computes on",
		backends: {
			auto: "Best available",
			webgpu: "Graphics (WebGPU)",
			wasm: "Processor (WASM)",
		},
		backendNames: { webgpu: "WebGPU", wasm: "WASM", cpu: "CPU" },
		threads: "Threads",
		threadsAuto: "Automatic",
		join: (memory: string) => `Join with ${memory}`,
		before: "Nothing of the model has been fetched, and nothing computed, so far.",
		phases: {
			connecting: "Connecting",
			joining: "Joining",
			waiting: "Waiting",
			loading: "Getting ready",
			serving: "Serving",
			paused: "Paused",
			left: "You have left",
			failed: "This did not work",
		} satisfies Record<LenderView["phase"] | "connecting", string>,
		connecting: "Looking for the network behind this page.",
		joining: "Saying hello to the other peers.",
		waitingMissing: (size: string) =>
			`The model needs ${size} more memory than the swarm has lent so far. Your share counts; it starts as soon as the rest is there.`,
		waitingComplete:
			"Every layer is already held by somebody. Your tab stays ready and steps in where it is needed.",
		waitingPlan: "The swarm is deciding which layers suit this tab.",
		fetching: (loaded: string, total: string) => `Fetching its layers: ${loaded} of ${total}`,
		fetchingStart: "Fetching its layers",
		compiling: "Compiling them for this device",
		paused: "No new answers start here. The layers stay in memory, so that you can go on at once.",
		pausedStreams: (count: number) =>
			count === 1 ? "1 running answer is being finished." : `${count} running answers are being finished.`,
		sparing: (bits: number) =>
			`Thank you. The swarm is short of memory, so this tab keeps its layers in ${bits} bits. When more is lent, it goes back by itself.`,
		serving: "Thank you. Keep this tab open; it may stay in the background.",
		leftThanks: (tokens: string, time: string) =>
			`Thank you. This tab computed ${tokens} tokens in ${time}. Everything it held has been freed.`,
		leftEarly: "Everything this tab held has been freed.",
		pause: "Pause",
		resume: "Resume",
		leave: "Leave",
		leaveNow: "Leave now",
		stay: "Stay",
		leaveWarning: (count: number) =>
			count === 1
				? "An answer is running through this tab and would break off."
				: `${count} answers are running through this tab and would break off.`,
		rejoin: "Join again",
		why: "Why these layers?",
		whyHow:
			"Nobody decides this for others: every device computes the same plan from what all of them announce.",
		heldTitle: (span: string, layers: number) => `This tab holds the ${span} of ${layers}`,
		growing: (span: string) => `It will hold the ${span}: the next of them are on their way.`,
		growingBy: (span: string, loaded: string, total: string) =>
			`It will hold the ${span}: ${loaded} of the next ${total} are here.`,
		figures: {
			streams: "Answers running",
			tokens: "Tokens computed",
			ms: "Per token",
			memory: "Memory used",
			memoryIn: (bits: number) => `Memory used, ${bits}-bit`,
			uptime: "Here for",
			backend: "Computes on",
		},
		ofMemory: (lent: string) => `of ${lent}`,
		msUnit: "ms",
		msPerToken: "ms per token",
		threadCount: (count: number) => (count === 1 ? "1 thread" : `${count} threads`),
		inviteTitle: "Bring another device",
		invite: "Every further tab helps, on this device or another. A phone counts too.",
	},

	chat: {
		title: { chats: "Ask the swarm", continues: "Begin a story" },
		lede: {
			chats: (name: string) => `${name} answers, its layers spread over the tabs that are open now.`,
			continues: (name: string) =>
				`${name} is a small model that only continues text. Write a first sentence; the swarm writes on.`,
		},
		suggestionsLabel: "Or start with one of these",
		suggestions: {
			chats: [
				"Explain tides to a child.",
				"What should I read about the history of maps?",
				"Write a haiku about a browser tab.",
			],
			continues: [
				"Once upon a time, a little fox found a door in a tree.",
				"Lily wanted to build a boat that could fly.",
				"The robot was lonely until one rainy day",
			],
		},
		prompt: { chats: "Your message", continues: "The beginning of a story" },
		placeholder: { chats: "Ask something", continues: "Once upon a time…" },
		hint: "Enter sends, Shift + Enter makes a new line",
		send: { chats: "Ask", continues: "Continue" },
		stop: "Stop",
		model: "Model",
		privacy: "Lenders of the first and last layers can read what you write and what comes back.",
		private: {
			label: "Ask in private",
			text: "Your words stay here: this device computes the first and last step itself, and peers get only the numbers in between.",
			limits:
				"Nobody reads along by chance, but whoever tries can turn most of those numbers back into words, and all peers see that you ask, when and how much.",
			loading: "This device loads its own part",
			loadingOf: (loaded: string, total: string) => `This device loads its own part: ${loaded} of ${total}`,
			ready: (size: string) =>
				`This device keeps its own part, ${size}, until you turn this off or five minutes pass.`,
			fact: "in private",
		},
		conversation: "Conversation",
		you: "You",
		connecting: "Looking for the network",
		noModels: {
			title: "No model here yet",
			text: "This network offers no model. Whoever runs its relay can add one.",
		},
		noPeers: {
			title: "Nobody lends yet",
			text: "The model lives in other people's tabs, and none is open at the moment. Open the lending page in another tab or on another device, and the answer comes from there.",
		},
		missing: {
			title: (size: string) => `${size} of memory still missing`,
			text: (name: string, lenders: string) =>
				`${lenders}, but ${name} does not fit into what they offer. One more tab may be enough.`,
		},
		loading: {
			title: "Almost there",
			text: (ready: number, all: number) =>
				ready === 0
					? all === 1
						? "The layers are being fetched and compiled."
						: `The layers of ${all} peers are being fetched and compiled.`
					: `${all - ready} of ${all} peers are still fetching and compiling their layers.`,
		},
		planning: {
			title: "The swarm is arranging itself",
			text: "There is memory enough for every layer; the peers are working out who holds which.",
		},
		stagesPreparing: (preparing: number, all: number) =>
			all === 1 ? "The peer is compiling its layers" : `${preparing} of ${all} stages are compiling`,
		stagesOpening: (all: number) => (all === 1 ? "Calling the peer" : `Calling ${all} peers`),
		reading: "Reading your text",
		choosing: "Choosing the peers",
		busy: "The peers are busy.",
		waitingForRoom: "Waiting for room.",
		roomIn: (seconds: number) =>
			seconds < 90 ? `Room in about ${seconds} s.` : `Room in about ${Math.ceil(seconds / 60)} min.`,
		regrouping: "The peers are changing layers: waiting for them.",
		askAgain: "Ask again",
		lostHint: "What had arrived is kept above. Asking again takes a new route.",
		speed: (rate: string) => `${rate} tokens/s`,
		firstToken: (time: string) => `first after ${time}`,
		tokens: (count: number) => (count === 1 ? "1 token" : `${count} tokens`),
		stopped: "stopped by you",
		lengthReached: "reached its length",
		resuming: "The page was reloaded. The answer goes on in a moment.",
		resumed: "went on after a reload",
		replacing: "A device left. Another takes its place.",
		waitingForSpare: "A device left. Waiting for another to take its layers.",
		replayed: (lost: number) =>
			lost === 1 ? "1 device left, another took over" : `${lost} devices left, others took over`,
		numericsChanged: "the last part was computed by another kind of device and may differ",
		over: (count: number) => (count === 1 ? "1 peer" : `${count} peers`),
		rateUnit: "tokens/s",
		lapUnit: "ms a lap",
		announceStart: "The answer is being written.",
		announceStopped: "Stopped.",
		announceFailed: (what: string) => `The answer broke off. ${what}`,
		instrument: "Who answers",
	},

	storage: {
		title: "What this device keeps",
		lede: "Layers of models that you lent for or asked, so that the next visit needs no download, and other tabs can have them from yours.",
		looking: "Looking at what is kept",
		room: "Room",
		ofBudget: (budget: string) => `kept of the ${budget} that you allow`,
		figures: {
			pinned: "Pinned",
			memory: "In memory only",
			origin: "This site in all",
			quota: "The browser gives",
		},
		budget: (size: string) => `You allow ${size}`,
		budgetHint: "When it is full, what was not used for longest goes first. Pinned files stay.",
		budgetFrees: (size: string) => `Up to ${size} go at once, what was not used for longest first.`,
		allow: (size: string) => `Allow ${size}`,
		allowed: (size: string) => `Up to ${size} may be kept now.`,
		persistTitle: "When the disk fills up",
		persistHint: "The browser may then clear what this site keeps, without asking.",
		persist: "Ask the browser to keep it",
		persisted: "The browser has promised not to clear this by itself.",
		persistRefused:
			"The browser did not agree. Most do once a site is bookmarked, installed or often visited; until then it may clear this.",
		keptTitle: "Kept here",
		kinds: { model: "Model", file: "File" },
		unnamed: (id: string) => `…${id.slice(-8)}`,
		whole: "all of it",
		someOfFile: "a part of it",
		partOf: (percent: number, size: string) => `${percent} % of ${size}`,
		blocks: (count: string, blocks: number) => (blocks === 1 ? "1 block" : `${count} blocks`),
		pinned: "Pinned",
		inUse: "In use",
		inUseHint: "A tab of this device lends or reads it now. Leave there first, then it can be freed.",
		lastUsed: (time: string) => `Last used ${time} ago`,
		free: "Free",
		freeNamed: (name: string) => `Free ${name}`,
		freeHint: {
			model: "It is fetched again the next time it is needed.",
			file: "It is fetched again if somebody still has it.",
		},
		freePinned: "This file was pinned. Perhaps nobody else has it.",
		freeNow: (size: string) => `Free ${size}`,
		freeUnused: "Free everything unused",
		freeUnusedHint: (size: string) => `Up to ${size} go. What is pinned or in use stays.`,
		freeUnusedNow: "Free it",
		keep: "Keep",
		freed: (size: string) => `${size} are free again.`,
		loose: (size: string) => `${size} are left over from transfers that were cut off.`,
		degraded: {
			quota: {
				title: "The disk takes no more",
				text: "What is fetched now is gone when its tab is closed. Free something here, or on the device.",
			},
			denied: {
				title: "This browser lets the page keep nothing",
				text: "A private window does that, or a setting that blocks the data of sites. Everything works, and is fetched anew each time.",
			},
			inMemory: (size: string) => `In memory only: ${size}.`,
			taken: (taken: string, quota: string) =>
				`Taken of what the browser gives this site: ${taken} of ${quota}.`,
		},
		sources: {
			label: "From whom",
			peer: (name: string) => `Peer ${name}`,
			device: "This device",
			unknown: "Not written down",
			others: (count: number) => `${count} others`,
		},
		empty: {
			title: "Nothing is kept yet",
			text: "When this device lends a tab or asks a model, the layers that it fetches stay here for the next time.",
			lend: "Lend this tab",
		},
	},

	wallet: {
		title: "Your wallet",
		lede: "A wallet says once that this tab acts for it, so that other peers know whose tab this is. It can wait: lending works without one.",
		make: "Make a wallet",
		useInstalled: "Use an installed wallet",
		bring: "Use a recovery phrase",
		acting: {
			create: "Make a wallet",
			import: "Bring a wallet",
			installed: "Installed wallets",
			export: "Recovery phrase",
			passphrase: "Change the passphrase",
			revoke: "Take it back?",
		},
		create: "Make it",
		import: "Bring it here",
		passphraseNew: "Passphrase (you may leave it empty)",
		passphraseHint:
			"Without one, the wallet is guarded by this browser alone: whoever uses this device uses it.",
		phraseField: "Recovery phrase: 12 to 24 English words",
		passphrase: "Passphrase",
		passphraseNow: "Passphrase now",
		passphraseNext: "New passphrase (empty for none)",
		change: "Change it",
		deriving: "Turning the passphrase into a key",
		looking: "Looking for wallets",
		noneInstalled: "No wallet is installed in this browser.",
		phrase: "Recovery phrase",
		phraseHint:
			"Write these words down in this order and keep the paper safe. They are the wallet: whoever has them has it, and without them it is lost with this device.",
		written: "I have written them down",
		exportHint: "Whoever sees these words can take the wallet. Look around first.",
		show: "Show the words",
		export: "Show recovery phrase",
		changePassphrase: "Change passphrase",
		unlock: "Unlock",
		injected: "Installed in this browser",
		embedded: "Kept on this device",
		embeddedBriefly: "Kept until this page is closed: the browser lets it keep nothing",
		acts: (date: string) => `This tab acts for it until ${date}. Every peer can check that.`,
		publishing: "This tab acts for it; the room is being told.",
		actsNot: "This tab does not act for it.",
		revoked: "The wallet took it back. This tab acts for it no more.",
		delegate: "Let this tab act for it",
		revoke: "Take it back",
		revokeHint:
			"Peers that are here refuse this tab's word for the wallet within seconds, those who come later once they have caught up, within two minutes. Letting it act again takes another signature.",
		revokeNow: "Take it back",
	},

	console: {
		title: "What the swarm is doing",
		lede: "Everything here is what peers publish of themselves. This page only looks: it lends nothing, asks nothing, and no text passes through it.",
		connecting: "Looking for the network behind this page",
		failed: "The network is out of reach",
		noPeers: "Open the lending page in a tab or on another device, and it appears here.",
		answers: (count: number) => (count === 1 ? "1 answer" : `${count} answers`),
		room: {
			title: (room: string) => `Room: ${room}`,
			label: "Name of another room",
			go: "Look there",
		},
		sums: {
			lenders: "Peers lend",
			memory: "Memory lent",
			free: (size: string) => `${size} free`,
			whole: "Models held whole",
			of: (count: number) => `of ${count}`,
		},
		models: {
			title: "Models",
			copies: (least: number, most: number) =>
				least === most
					? `Every layer ${least === 1 ? "once" : `${least} times`}`
					: `Every layer ${least} to ${most} times`,
			held: (held: number, layers: number) => `${held} of ${layers} layers`,
			layers: (count: number) => (count === 1 ? "1 layer" : `${count} layers`),
			context: (tokens: string) => `${tokens} tokens of context`,
		},
		map: {
			title: (name: string) => `Who holds ${name}`,
			label: (name: string, peers: number) =>
				`Layers of ${name} from left to right, one bar for each of ${peers === 1 ? "1 peer" : `${peers} peers`}.`,
			copies: (least: number, most: number) =>
				least === most
					? `Each is held ${least === 1 ? "once" : `${least} times`}.`
					: `Each is held ${least} to ${most} times.`,
			axis: "Layers from left to right, copies upwards",
			legend: "What the bars mean",
			kinds: { serving: "Answering now", idle: "Ready", loading: "Getting ready", missing: "Nobody" },
			nobody: "Nobody holds a layer of it yet.",
		},
		why: {
			title: "Why these layers?",
			more: (count: number) => `And ${count} more. Choose a peer to see its own.`,
		},
		peers: {
			title: "Peers",
			which: "Which peers",
			holding: (name: string, count: number) => `With layers of ${name}: ${count}`,
			all: (count: number) => `All: ${count}`,
			search: "Find a peer by its id",
			none: "Nobody has announced itself.",
			notFound: (what: string) => `No peer’s id contains “${what}”.`,
			asks: "Lends nothing",
			nothing: "Holds nothing yet",
			loading: (span: string) => `${span} (getting ready)`,
			others: (count: number) => (count === 1 ? "Another model" : `${count} other models`),
			andOthers: (count: number) => (count === 1 ? "and another model" : `and ${count} other models`),
			columns: {
				peer: "Peer",
				layers: "Holds",
				speed: "Per token",
				memory: "Lends",
				distance: "Distance",
				streams: "Answers",
			},
			before: "Previous",
			after: "Next",
			page: (first: number, last: number, all: number) => `${first}–${last} of ${all}`,
		},
		peer: {
			title: (name: string) => `Peer ${name}`,
			close: "Close",
			gone: "This peer is not here, or not any more.",
			kind: "Runs in",
			kinds: { page: "a browser tab", node: "a program without a browser", relay: "a relay" },
			since: "Here for",
			memory: "Memory free",
			memoryOf: (free: string, lent: string) => `${free} of ${lent}`,
			speed: "Speed through weights",
			perSecond: (size: string) => `${size}/s`,
			perToken: (ms: string) => `${ms} ms per token`,
			numerics: "Computes as",
			connection: "From this page",
			connected: (path: string, ms: string | undefined) => (ms === undefined ? path : `${path}, ${ms} ms`),
			paths: {
				direct: "direct",
				turn: "through a TURN server",
				relayed: "through a relay",
				socket: "WebSocket",
			},
			notConnected: "not connected",
			holds: "Holds",
			stored: "On its disk",
			links: "Round trips that it measured",
			link: (peer: string, ms: number, turn: boolean) => `${peer} ${ms} ms${turn ? " (TURN)" : ""}`,
			reason: "Why",
		},
		streams: {
			title: "Load",
			places: "Places taken",
			computing: (busy: number, all: number) => `${busy} of ${all} peers are answering`,
			trend: (now: number, most: number) =>
				`Places taken in the last five minutes: ${now} now, ${most} at most.`,
			busiest: "The busiest peers",
			quiet: "Nobody is being asked.",
			how: "An answer takes a place at each peer of its ring. Who asks, and what, is published nowhere.",
		},
		relay: {
			title: "This page’s relay",
			looking: "Asking it how it is",
			status: { ok: "Works", draining: "Is stopping, and takes nobody new" },
			answered: "Answered in",
			distance: "From peers",
			measured: (peers: number) => (peers === 1 ? "1 peer" : `middle of ${peers}`),
			sockets: "WebSockets open",
			reservations: "Peers it introduces",
			messages: "Messages passed on",
			refused: "Refused",
			memory: "Memory",
			lag: "Latest timer",
			up: "Running for",
			closed: "Its figures are shown to its own machine only, or to whoever has its token.",
		},
		troubles: {
			title: "Errors",
			none: "Nothing went wrong on this page.",
			times: (count: number) => `${count} times`,
			how: "Only this page’s own, and only until it is closed: peers publish no errors.",
		},
	},

	cannot: {
		title: {
			ask: "This browser cannot ask here",
			lend: "This browser cannot lend here",
			look: "This browser cannot look on here",
		},
		lacks: {
			secure: {
				what: "This page came over plain HTTP.",
				step: "Browsers give keys and locks to HTTPS pages only. Open it with https:// in front; if that does not work, whoever runs it has to give it a certificate.",
			},
			peers: {
				what: "WebRTC is missing or switched off, and without it tabs cannot talk to each other.",
				step: "In Firefox it is media.peerconnection.enabled on about:config. Privacy extensions switch it off, too, and Tor Browser has none: take another browser then.",
			},
			compute: {
				what: "WebAssembly is missing or switched off, and layers are computed in it.",
				step: "A security level or a lockdown mode may do that; most let you make an exception for one site. In Firefox it is javascript.options.wasm on about:config.",
			},
			workers: {
				what: "This browser has no workers, and computing in the page itself would freeze it.",
				step: "A newer browser has them.",
			},
		},
		askTitle: "You can still ask",
		ask: "Asking needs less: other devices compute, and this one only sends and shows text.",
		askLink: "Ask the swarm",
		elsewhereTitle: "Or take another browser",
		elsewhere: "Current versions of Chrome, Edge and Firefox can do all of it, on this device or another.",
		private: "Asking in private computes on this device, which this browser cannot do.",
		keepsNothing: "This browser keeps nothing for pages, so layers are fetched anew each time.",
	},
} as const;
