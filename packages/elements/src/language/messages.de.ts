import type { Messages } from "./language.ts";

/** Tage, Stücke, Antworten: eins und viele. */
const of = (count: number, one: string, many: string): string =>
	count === 1 ? `1 ${one}` : `${count} ${many}`;

export const german: Messages = {
	unknownPeer: "Unbekannter Peer",
	thisTab: "dieser Tab",
	tryAgain: "Noch einmal versuchen",
	cancel: "Abbrechen",
	dismiss: "In Ordnung",
	notLoaded: "Der Rest dieser Seite ließ sich nicht laden.",
	notLoadedStep: "Ist dieses Gerät online? Versuche es dann noch einmal, oder lade die Seite neu.",
	unexpected: "Etwas ging schief, womit Tabmesh nicht gerechnet hat.",
	unexpectedStep: "Lade die Seite neu. Wenn es wieder geschieht, sag uns bitte, was du vorher getan hast.",

	update: {
		ready: "Eine neue Version von Tabmesh liegt bereit.",
		reload: "Jetzt neu laden",
		later: "Später",
	},

	layers: {
		one: (layer) => `Schicht ${layer}`,
		many: (first, last) => `Schichten ${first}–${last}`,
		embedding: "Eingang",
		head: "Ausgang",
		of: (span, layers) => `${span} von ${layers}`,
		held: (span, layers) => `Dieser Tab hält ${span} von ${layers}.`,
		coverage: (held, layers) =>
			held === layers ? `Alle ${layers} Schichten sind da.` : `${held} von ${layers} Schichten sind da.`,
	},

	ring: {
		label: (stages) =>
			stages === 1 ? "Der Ring aus einem Peer, der antwortet" : `Der Ring der ${stages} Peers, die antworten`,
		you: "du",
		opening: "wird gerufen",
		preparing: (percent) => `übersetzt ${percent} %`,
		lost: "verloren",
		peer: (name) => `Peer ${name}`,
		ms: (value) => `${value} ms`,
		empty:
			"Wenn jemand antwortet, erscheinen hier die Peers, die es tun, in der Reihenfolge ihrer Schichten.",
	},

	swarm: {
		title: "Der Schwarm",
		lenders: (count) =>
			count === 0 ? "Noch leiht niemand" : count === 1 ? "1 Peer leiht" : `${count} Peers leihen`,
		loading: (count) =>
			count === 1 ? "1 Peer bereitet seine Schichten vor" : `${count} Peers bereiten ihre Schichten vor`,
		complete: (copies) =>
			copies > 1 ? `Jede Schicht ist mindestens ${copies}-mal da` : "Jede Schicht ist da",
		missing: (size) => `${size} Speicher fehlen`,
		layer: (layer, holders) => `Schicht ${layer}: ${of(holders, "Peer", "Peers")}`,
	},

	invite: {
		open: "Leihseite öffnen",
		copy: "Link kopieren",
		copied: "Kopiert",
		scan: "Scannen bringt ein Telefon dazu",
		loopback:
			"Diese Adresse meint nur dieses Gerät; ein Telefon kann ihr nicht folgen. Öffne die Seite unter der Adresse, die andere Geräte kennen, dann erscheint hier ein Code zum Scannen.",
	},

	lend: {
		title: "Leih diesen Tab einem Sprachmodell",
		lede: "Ein Modell, auf viele Browser verteilt: Dein Tab behält einige seiner Schichten im Speicher und rechnet mit ihnen, wenn jemand fragt.",
		memory: "Speicher, den du leihst",
		memoryHint: (gigabytes) => `Dein Browser meldet ${gigabytes} GB auf diesem Gerät.`,
		memoryHintUnknown: "Dein Browser sagt nicht, wie viel dieses Gerät hat; fang klein an.",
		sharedTitle: "Was du teilst",
		shared: (memory) => [
			`Bis zu ${memory} Speicher, solange dieser Tab offen ist`,
			"Rechenzeit, nur während jemand fragt",
			"Platte: Schichten, die dieser Tab anbietet oder bald anbieten kann, im Rahmen der Grenze unter „Speicher“",
			"Deine Netzadresse, mit den Peers, mit denen du arbeitest",
		],
		keptTitle: "Was dein bleibt",
		kept: [
			"Dateien, andere Tabs und Verlauf: Eine Webseite sieht sie nicht",
			"Dein Name: Es gibt kein Konto, nur einen Schlüssel, der in diesem Browser entstand",
			"Der Ausschalter: Pause oder Ende, jederzeit, oder schließ den Tab",
		],
		privacyTitle: "Du siehst vielleicht, was andere schreiben",
		privacy:
			"Wer die ersten Schichten hält, kann die Fragen lesen, die hindurchgehen, und wer die letzten hält, die Antworten. Ist das dein Tab, behandle sie wie einen Brief, der nicht an dich gerichtet ist.",
		details: "Einzelheiten",
		model: "Modell",
		modelDefault: "Was dieses Netz anbietet",
		backend: "Rechnet auf",
		backends: {
			auto: "Das Beste, was da ist",
			webgpu: "Grafik (WebGPU)",
			wasm: "Prozessor (WASM)",
		},
		backendNames: { webgpu: "WebGPU", wasm: "WASM", cpu: "CPU" },
		threads: "Threads",
		threadsAuto: "Automatisch",
		join: (memory) => `Mitmachen mit ${memory}`,
		before: "Bis jetzt wurde nichts vom Modell geladen und nichts gerechnet.",
		phases: {
			connecting: "Verbindet",
			joining: "Kommt dazu",
			waiting: "Wartet",
			loading: "Macht sich bereit",
			serving: "Arbeitet mit",
			paused: "Pause",
			left: "Du bist gegangen",
			failed: "Das hat nicht geklappt",
		},
		connecting: "Sucht das Netz hinter dieser Seite.",
		joining: "Begrüßt die anderen Peers.",
		waitingMissing: (size) =>
			`Das Modell braucht ${size} mehr Speicher, als der Schwarm bisher geliehen hat. Dein Teil zählt; es geht los, sobald der Rest da ist.`,
		waitingComplete:
			"Jede Schicht wird schon gehalten. Dein Tab bleibt bereit und springt ein, wo er gebraucht wird.",
		waitingPlan: "Der Schwarm klärt, welche Schichten zu diesem Tab passen.",
		fetching: (loaded, total) => `Holt seine Schichten: ${loaded} von ${total}`,
		fetchingStart: "Holt seine Schichten",
		compiling: "Übersetzt sie für dieses Gerät",
		paused:
			"Hier beginnen keine neuen Antworten. Die Schichten bleiben im Speicher, damit es sofort weitergehen kann.",
		pausedStreams: (count) =>
			count === 1
				? "1 laufende Antwort wird noch fertig."
				: `${count} laufende Antworten werden noch fertig.`,
		sparing: (bits) =>
			`Danke. Dem Schwarm fehlt Speicher, deshalb behält dieser Tab seine Schichten in ${bits} Bit. Wird mehr geliehen, kehrt er von selbst zurück.`,
		serving: "Danke. Lass diesen Tab offen; er darf im Hintergrund bleiben.",
		leftThanks: (tokens, time) =>
			`Danke. Dieser Tab hat in ${time} ${tokens} Token gerechnet. Alles, was er hielt, ist wieder frei.`,
		leftEarly: "Alles, was dieser Tab hielt, ist wieder frei.",
		pause: "Pause",
		resume: "Weiter",
		leave: "Gehen",
		leaveNow: "Jetzt gehen",
		stay: "Bleiben",
		leaveWarning: (count) =>
			count === 1
				? "Eine Antwort läuft durch diesen Tab und bräche ab."
				: `${count} Antworten laufen durch diesen Tab und brächen ab.`,
		rejoin: "Wieder mitmachen",
		why: "Warum diese Schichten?",
		whyHow:
			"Niemand entscheidet das für andere: Jedes Gerät rechnet denselben Plan aus dem aus, was alle von sich sagen.",
		heldTitle: (span, layers) => `Dieser Tab hält ${span} von ${layers}`,
		growing: (span) => `Er wird ${span} halten: Die nächsten davon sind unterwegs.`,
		growingBy: (span, loaded, total) =>
			`Er wird ${span} halten: Von den nächsten ${total} sind ${loaded} da.`,
		figures: {
			streams: "Laufende Antworten",
			tokens: "Gerechnete Token",
			ms: "Je Token",
			memory: "Speicher",
			memoryIn: (bits) => `Speicher, ${bits} Bit`,
			peers: "Verbundene Peers",
			today: "Heute",
			lastHour: "Die letzte Stunde",
			ever: "Bisher",
			backend: "Rechnet auf",
		},
		tokens: (count) => `${count} Token`,
		servedFor: (time) => `${time} mitgearbeitet`,
		servedOfHour: "von 60 mitgearbeitet",
		servedSince: (time, date) => `${time} mitgearbeitet seit ${date}`,
		minutes: (count) => `${count} min`,
		ofMemory: (lent) => `von ${lent}`,
		snooze: "Eine Stunde aussetzen",
		runAnyway: "Trotzdem leihen",
		wakeUp: "Jetzt weiter",
		rests: {
			frozen: "Der Browser hat diese Seite angehalten. Sie macht weiter, wenn du zu ihr zurückkommst.",
			snoozed: (time) => `Setzt aus bis ${time}.`,
			hours: (time) => `Außerhalb der Stunden, die du gewählt hast. Weiter um ${time}.`,
			battery: "Das Gerät läuft auf Batterie. Weiter, sobald es am Strom ist.",
			metered: "In diesem Netz können Daten dich etwas kosten. Weiter, sobald es ein anderes ist.",
			"in-use": "Das Gerät wird benutzt. Weiter, wenn es ein paar Minuten niemand benutzt hat.",
		},
		absences: {
			offline: "Gerade kein Netz. Es geht von selbst weiter, wenn wieder eines da ist.",
			offlineFor: (time) => `Wieder da, seit das Netz nach ${time} zurückkam.`,
			asleepFor: (time) => `Wieder da, nachdem dieses Gerät ${time} geschlafen hat.`,
			frozenFor: (time) => `Wieder da, nachdem der Browser diese Seite ${time} angehalten hatte.`,
		},
		msUnit: "ms",
		msPerToken: "ms je Token",
		threadCount: (count) => of(count, "Thread", "Threads"),
		inviteTitle: "Hol ein weiteres Gerät dazu",
		invite: "Jeder weitere Tab hilft, auf diesem Gerät oder einem anderen. Ein Telefon zählt auch.",
	},

	orbit: {
		title: "Der Schwarm jetzt",
		label: (lenders, layers) =>
			`Jeder Bogen ist ein Gerät, so lang wie die Schichten, die es von den ${layers} hält. ${lenders}.`,
		peers: (count) => (count === 1 ? "Peer" : "Peers"),
		key: { own: "Dieser Tab", others: "Andere", loading: "Macht sich bereit", stream: "Weg einer Antwort" },
		stream: (tokens) => `Eine Antwort, bisher ${tokens} Token`,
		idle: "Läuft eine Antwort durch diesen Tab, erscheint hier der Weg, den sie nimmt.",
		more: (count) => `${count} weitere Geräte sind nicht gezeichnet.`,
		moreStreams: (count) => (count === 1 ? "Und 1 weitere Antwort." : `Und ${count} weitere Antworten.`),
	},

	history: {
		title: "Tag für Tag",
		tokens: "Token",
		minutes: "Minuten mitgearbeitet",
		range: "Wie weit zurück",
		ranges: { 30: "30 Tage", 365: "Ein Jahr" },
		day: "Tag",
		time: "Mitgearbeitet",
		table: "Als Tabelle",
		label: (days, tokens, time) =>
			`Diagramm von ${days} Tagen: ${tokens} Token gerechnet und ${time} mitgearbeitet. Mit den Pfeiltasten links und rechts geht es von Tag zu Tag.`,
		reading: (day, tokens, time) => `${day}: ${tokens} Token, ${time} mitgearbeitet`,
		today: "Heute, Stunde für Stunde",
		hour: (from, minutes) => `${from}: ${minutes} min`,
		hoursLabel: (minutes) => `Minuten mitgearbeitet in jeder Stunde von heute, zusammen ${minutes}`,
		nothing:
			"Was dieses Gerät leiht, erscheint hier von der ersten Minute an. Es bleibt nur auf diesem Gerät.",
		kept: "Bleibt nur auf diesem Gerät, alle seine Tabs zusammen.",
	},

	preferences: {
		title: "Wann dieses Gerät leiht",
		elsewhere: "Bestimmen, wann und wie viel dieses Gerät leiht",
		mode: "Wie es läuft",
		modes: { always: "Immer", preferences: "Nach Einstellungen" },
		modeHints: {
			always: "Was darunter steht, hält es nicht an.",
			preferences: "Es setzt von selbst aus und macht von selbst weiter.",
		},
		battery: "Auch auf Batterie",
		power: {
			plugged: "Jetzt am Strom.",
			battery: "Jetzt auf Batterie.",
			unknown: "Dieser Browser sagt es nicht, deshalb setzt nichts dafür aus.",
		},
		metered: "Auch wo Daten kosten können",
		network: {
			metered: "Dieses Netz zählt Daten, oder du sparst sie.",
			free: "Dieses Netz zählt sie nicht.",
			unknown: "Dieser Browser sagt es nicht, deshalb setzt nichts dafür aus.",
		},
		idle: "Nur wenn niemand da ist",
		idleOf: {
			device: "Nach einer Minute ohne Taste, Maus oder Finger auf diesem Gerät.",
			page: "Nach drei Minuten ohne Taste, Maus oder Finger auf dieser Seite: Den Rest des Geräts sieht sie nicht.",
		},
		seeDevice: "Das ganze Gerät sehen lassen",
		seeDeviceRefused: "Der Browser war nicht einverstanden. Es bleibt bei dieser Seite.",
		hours: "Nur zu diesen Stunden",
		from: "Von",
		to: "Bis",
		share: "Anteil an Prozessor oder Grafik",
		shareHint: "Zwischen zwei Schritten steht es den Rest der Zeit still.",
		percent: (value) => `${value} %`,
		upload: "Behaltene Schichten an andere Geräte geben",
		uploadHint: "Sie müssen sie dann nicht aus dem Web holen. Laufende Antworten senden so oder so wenig.",
		memory: "Speicher",
		memoryApply: (size) => `Neu mitmachen mit ${size}`,
		memoryHint: "Laufende Antworten gehen erst an andere; die Schichten kommen von der Platte.",
		storage: "Platte",
		storageHint: (used, budget) => `${used} behalten von ${budget}, die du erlaubst.`,
		storageLink: "Unter „Speicher“ ändern",
	},

	notices: {
		storageFull: {
			title: "Für diese Seite ist kaum noch Platz",
			text: (free) =>
				`Der Browser gibt ihr noch ${free}. Danach werden Schichten bei jedem Besuch neu geholt.`,
			act: "Ansehen, was behalten wird",
		},
		delegation: {
			title: "Das Wort deiner Wallet für diesen Tab endet bald",
			text: (date) => `Es gilt bis ${date}. Danach leihst du weiter, aber niemand sieht mehr, für wen.`,
		},
		discarded: {
			title: "Der Browser hat diese Seite weggeworfen, um Speicher zu sparen",
			text: "Den Schwarm hatte sie vorher verlassen. Mach wieder mit, damit es weitergeht.",
		},
		phone: {
			title: "Lass diese Seite vorn",
			text: "Telefone halten Seiten bald an, wenn sie nicht zu sehen sind, und damit auch das Leihen.",
		},
	},

	chat: {
		title: { chats: "Frag den Schwarm", continues: "Beginn eine Geschichte" },
		lede: {
			chats: (name) => `${name} antwortet; seine Schichten sind auf die Tabs verteilt, die jetzt offen sind.`,
			continues: (name) =>
				`${name} ist ein kleines Modell, das Texte nur fortsetzt. Schreib einen ersten Satz; der Schwarm schreibt weiter.`,
		},
		suggestionsLabel: "Oder beginn mit einem von diesen",
		suggestions: {
			chats: [
				"Erklär einem Kind die Gezeiten.",
				"Was sollte ich über die Geschichte der Landkarten lesen?",
				"Schreib ein Haiku über einen Browser-Tab.",
			],
			continues: [
				"Once upon a time, a little fox found a door in a tree.",
				"Lily wanted to build a boat that could fly.",
				"The robot was lonely until one rainy day",
			],
		},
		prompt: { chats: "Deine Nachricht", continues: "Der Anfang einer Geschichte" },
		placeholder: { chats: "Frag etwas", continues: "Once upon a time…" },
		hint: "Eingabe schickt ab, Umschalt + Eingabe macht eine neue Zeile",
		send: { chats: "Fragen", continues: "Fortsetzen" },
		stop: "Anhalten",
		model: "Modell",
		privacy:
			"Wer die ersten und die letzten Schichten leiht, kann lesen, was du schreibst und was zurückkommt.",
		private: {
			label: "Vertraulich fragen",
			text: "Deine Worte bleiben hier: Dieses Gerät rechnet den ersten und den letzten Schritt selbst, und Peers bekommen nur die Zahlen dazwischen.",
			limits:
				"Niemand liest zufällig mit, doch wer es darauf anlegt, kann die meisten dieser Zahlen in Wörter zurückverwandeln, und alle Peers sehen, dass du fragst, wann und wie viel.",
			loading: "Dieses Gerät lädt seinen eigenen Teil",
			loadingOf: (loaded, total) => `Dieses Gerät lädt seinen eigenen Teil: ${loaded} von ${total}`,
			ready: (size) =>
				`Dieses Gerät behält seinen eigenen Teil, ${size}, bis du das ausschaltest oder fünf Minuten vergehen.`,
			fact: "vertraulich",
		},
		conversation: "Gespräch",
		you: "Du",
		connecting: "Sucht das Netz",
		noModels: {
			title: "Noch kein Modell",
			text: "Dieses Netz bietet kein Modell an. Wer sein Relay betreibt, kann eines hinzufügen.",
		},
		noPeers: {
			title: "Noch leiht niemand",
			text: "Das Modell lebt in den Tabs anderer Leute, und gerade ist keiner offen. Öffne die Leihseite in einem anderen Tab oder auf einem anderen Gerät, dann kommt die Antwort von dort.",
		},
		missing: {
			title: (size) => `Noch fehlen ${size} Speicher`,
			text: (name, lenders) =>
				`${lenders}, aber ${name} passt nicht in das, was sie anbieten. Ein Tab mehr kann genügen.`,
		},
		loading: {
			title: "Gleich ist es so weit",
			text: (ready, all) =>
				ready === 0
					? all === 1
						? "Die Schichten werden geholt und übersetzt."
						: `Die Schichten von ${all} Peers werden geholt und übersetzt.`
					: `${all - ready} von ${all} Peers holen und übersetzen ihre Schichten noch.`,
		},
		planning: {
			title: "Der Schwarm ordnet sich",
			text: "Für jede Schicht ist Speicher da; die Peers klären, wer welche hält.",
		},
		stagesPreparing: (preparing, all) =>
			all === 1 ? "Der Peer übersetzt seine Schichten" : `${preparing} von ${all} Stufen übersetzen noch`,
		stagesOpening: (all) => (all === 1 ? "Ruft den Peer" : `Ruft ${all} Peers`),
		reading: "Liest deinen Text",
		choosing: "Wählt die Peers",
		busy: "Die Peers sind beschäftigt.",
		waitingForRoom: "Wartet auf Platz.",
		roomIn: (seconds) =>
			seconds < 90 ? `Platz in etwa ${seconds} s.` : `Platz in etwa ${Math.ceil(seconds / 60)} min.`,
		regrouping: "Die Peers wechseln ihre Schichten: wartet auf sie.",
		askAgain: "Noch einmal fragen",
		lostHint: "Was ankam, steht oben. Eine neue Frage nimmt einen anderen Weg.",
		speed: (rate) => `${rate} Token/s`,
		firstToken: (time) => `erstes nach ${time}`,
		tokens: (count) => `${count} Token`,
		stopped: "von dir angehalten",
		lengthReached: "Länge erreicht",
		resuming: "Die Seite wurde neu geladen. Die Antwort geht gleich weiter.",
		resumed: "nach dem Neuladen fortgesetzt",
		replacing: "Ein Gerät ist gegangen. Ein anderes tritt an seine Stelle.",
		waitingForSpare: "Ein Gerät ist gegangen. Wartet, bis ein anderes seine Schichten nimmt.",
		replayed: (lost) =>
			lost === 1 ? "1 Gerät ging, ein anderes sprang ein" : `${lost} Geräte gingen, andere sprangen ein`,
		numericsChanged: "der letzte Teil kam von einer anderen Art Gerät und kann abweichen",
		over: (count) => of(count, "Peer", "Peers"),
		rateUnit: "Token/s",
		lapUnit: "ms je Runde",
		announceStart: "Die Antwort wird geschrieben.",
		announceLong: (beginning) => `${beginning} … Die Antwort ist länger: Lies im Gespräch weiter.`,
		announceStopped: "Angehalten.",
		announceFailed: (what) => `Die Antwort brach ab. ${what}`,
		instrument: "Wer antwortet",
		bar: "Dieses Gespräch",
		actions: "Mit dieser Antwort",
		copy: "Kopieren",
		again: "Andere Antwort",
		edit: { chats: "Frage ändern", continues: "Anfang ändern" },
		previousVersion: "Vorige Fassung",
		nextVersion: "Nächste Fassung",
		version: (place, all) => `${place} von ${all}`,
		elsewhere: "Ein anderer Tab schreibt diese Antwort.",
		conversations: {
			open: "Gespräche",
			heading: "Gespräche",
			close: "Schließen",
			new: "Neues Gespräch",
			newShort: "Neu",
			search: "In Titeln und Texten suchen",
			none: "Noch keine. Was du fragst, bleibt hier.",
			nothingFound: "Nichts gefunden.",
			title: "Titel",
			save: "Speichern",
			rename: "Umbenennen",
			renameNamed: (title) => `„${title}“ umbenennen`,
			delete: "Löschen",
			deleteNamed: (title) => `„${title}“ löschen`,
			deleted: "Gelöscht.",
			undo: "Rückgängig",
			ago: (time) => `vor ${time}`,
			where:
				"Sie bleiben in diesem Browser, auf diesem Gerät, und nirgends sonst. Wer diesen Browser benutzt, kann sie lesen, auch privat Gefragtes.",
			gone: {
				title: "Dieses Gespräch ist hier nicht aufbewahrt",
				text: "Es wurde gelöscht oder gehört zu einem anderen Gerät. Was hier steht, wird nicht aufbewahrt.",
			},
		},
		settings: {
			open: (model) => (model === "" ? "Modell und Einstellungen" : `Modell und Einstellungen: ${model}`),
			heading: "Modell und Einstellungen",
			models: "Wer antwortet",
			ready: (copies) => (copies > 1 ? `Bereit, jede Schicht ${copies}-mal da` : "Bereit"),
			layers: (count) => `${count} Schichten`,
			context: (tokens) => `bis zu ${tokens} Token`,
			system: "Anweisungen",
			systemHint: "Stehen vor jedem Gespräch mit einem Modell, das Gespräche führt.",
			sampling: "Wie es Wörter wählt",
			restore: "Vorgaben wiederherstellen",
			numbers: {
				temperature: {
					label: "Temperatur",
					hint: "0 nimmt immer das wahrscheinlichste Wort; mehr ist freier.",
					unset: "automatisch",
				},
				topP: {
					label: "Top-p",
					hint: "Nur die wahrscheinlichsten Wörter, die diesen Anteil ausmachen.",
					unset: "1",
				},
				topK: {
					label: "Top-k",
					hint: "Nur so viele der wahrscheinlichsten Wörter; 0 sind alle.",
					unset: "0",
				},
				repetitionPenalty: {
					label: "Wiederholungsstrafe",
					hint: "Mehr als 1: Es wiederholt sich weniger.",
					unset: "1",
				},
				maxTokens: { label: "Längste Antwort", hint: "In Token; ein Token ist etwa ¾ Wort.", unset: "256" },
				seed: {
					label: "Startwert",
					hint: "Gleicher Startwert und gleiche Einstellungen geben wieder die gleiche Antwort.",
					unset: "zufällig",
				},
			},
		},
		made: {
			who: "Wer diese Antwort berechnet hat",
			peer: "Gerät",
			layers: "Schichten",
			receipt: "Quittung",
			positions: (count) => `${count} Positionen`,
			by: (model) => `Geschrieben von ${model}.`,
			laps: (laps, accepted) =>
				`${laps} Runden durch den Ring; ${accepted} Token wurden unterwegs richtig geraten.`,
			receipts: (count) =>
				count === 1
					? "1 Quittung, vom Gerät und von diesem Tab unterschrieben."
					: `${count} Quittungen, jede vom Gerät und von diesem Tab unterschrieben.`,
			noReceipts: "Es wurden keine Quittungen unterschrieben.",
		},
		copyCode: "Kopieren",
		copied: "Kopiert",
		notCopied: "Nicht erlaubt",
		table: "Tabelle",
		picture: (alt) => (alt === "" ? "Bild, nicht geladen" : `Bild, nicht geladen: ${alt}`),
	},

	storage: {
		title: "Was dieses Gerät behält",
		lede: "Schichten von Modellen, für die du geliehen oder die du gefragt hast, damit der nächste Besuch nichts laden muss und andere Tabs sie von deinem bekommen können.",
		looking: "Sieht nach, was da ist",
		room: "Platz",
		ofBudget: (budget) => `von ${budget} belegt, die du erlaubst`,
		figures: {
			pinned: "Angeheftet",
			memory: "Nur im Arbeitsspeicher",
			origin: "Diese Seite insgesamt",
			quota: "Der Browser gibt",
		},
		budget: (size) => `Du erlaubst ${size}`,
		budgetHint: "Ist es voll, geht zuerst, was am längsten nicht gebraucht wurde. Angeheftetes bleibt.",
		budgetFrees: (size) => `Bis zu ${size} gehen sofort, zuerst, was am längsten nicht gebraucht wurde.`,
		allow: (size) => `${size} erlauben`,
		allowed: (size) => `Jetzt dürfen bis zu ${size} bleiben.`,
		persistTitle: "Wenn die Platte voll wird",
		persistHint: "Der Browser darf dann ungefragt löschen, was diese Seite behält.",
		persist: "Den Browser bitten, es zu behalten",
		persisted: "Der Browser hat versprochen, das hier nicht von sich aus zu löschen.",
		persistRefused:
			"Der Browser hat nicht zugestimmt. Die meisten tun es, wenn eine Seite ein Lesezeichen hat, installiert ist oder oft besucht wird; bis dahin darf er löschen.",
		keptTitle: "Hier behalten",
		kinds: { model: "Modell", file: "Datei" },
		unnamed: (id) => `…${id.slice(-8)}`,
		whole: "ganz",
		someOfFile: "ein Teil davon",
		partOf: (percent, size) => `${percent} % von ${size}`,
		blocks: (count, blocks) => (blocks === 1 ? "1 Block" : `${count} Blöcke`),
		pinned: "Angeheftet",
		inUse: "In Gebrauch",
		inUseHint: "Ein Tab dieses Geräts leiht oder liest es gerade. Beende das zuerst, dann kann es weg.",
		lastUsed: (time) => `Zuletzt gebraucht vor ${time}`,
		free: "Löschen",
		freeNamed: (name) => `${name} löschen`,
		freeHint: {
			model: "Es wird neu geholt, wenn es wieder gebraucht wird.",
			file: "Es wird neu geholt, wenn jemand es noch hat.",
		},
		freePinned: "Diese Datei war angeheftet. Vielleicht hat sie sonst niemand.",
		freeNow: (size) => `${size} löschen`,
		freeUnused: "Alles Ungebrauchte löschen",
		freeUnusedHint: (size) => `Bis zu ${size} gehen. Was angeheftet oder in Gebrauch ist, bleibt.`,
		freeUnusedNow: "Löschen",
		keep: "Behalten",
		freed: (size) => `${size} sind wieder frei.`,
		loose: (size) => `${size} sind von abgebrochenen Übertragungen übrig.`,
		degraded: {
			quota: {
				title: "Die Platte nimmt nichts mehr",
				text: "Was jetzt geholt wird, ist weg, wenn sein Tab geschlossen wird. Lösch hier etwas oder auf dem Gerät.",
			},
			denied: {
				title: "Dieser Browser lässt die Seite nichts behalten",
				text: "Ein privates Fenster tut das, oder eine Einstellung, die Daten von Seiten sperrt. Alles geht, wird aber jedes Mal neu geholt.",
			},
			inMemory: (size) => `Nur im Arbeitsspeicher: ${size}.`,
			taken: (taken, quota) => `Belegt von dem, was der Browser dieser Seite gibt: ${taken} von ${quota}.`,
		},
		sources: {
			label: "Von wem",
			peer: (name) => `Peer ${name}`,
			device: "Dieses Gerät",
			unknown: "Nicht vermerkt",
			others: (count) => `${count} andere`,
		},
		empty: {
			title: "Noch ist nichts da",
			text: "Wenn dieses Gerät einen Tab leiht oder ein Modell fragt, bleiben die Schichten, die es holt, für das nächste Mal hier.",
			lend: "Diesen Tab leihen",
		},
	},

	wallet: {
		title: "Deine Wallet",
		lede: "Eine Wallet sagt einmal, dass dieser Tab für sie handelt; so wissen andere Peers, wessen Tab das ist. Es hat Zeit: Leihen geht ohne.",
		make: "Eine Wallet anlegen",
		useInstalled: "Eine installierte Wallet nutzen",
		bring: "Wiederherstellungswörter nutzen",
		acting: {
			create: "Eine Wallet anlegen",
			import: "Eine Wallet mitbringen",
			installed: "Installierte Wallets",
			export: "Wiederherstellungswörter",
			passphrase: "Passphrase ändern",
			revoke: "Zurücknehmen?",
		},
		create: "Anlegen",
		import: "Herbringen",
		passphraseNew: "Passphrase (darf leer bleiben)",
		passphraseHint:
			"Ohne sie schützt nur dieser Browser die Wallet: Wer das Gerät benutzt, benutzt auch sie.",
		phraseField: "Wiederherstellungswörter: 12 bis 24 englische Wörter",
		passphrase: "Passphrase",
		passphraseNow: "Passphrase jetzt",
		passphraseNext: "Neue Passphrase (leer für keine)",
		change: "Ändern",
		deriving: "Macht aus der Passphrase einen Schlüssel",
		looking: "Sucht Wallets",
		noneInstalled: "In diesem Browser ist keine Wallet installiert.",
		phrase: "Wiederherstellungswörter",
		phraseHint:
			"Schreib diese Wörter in dieser Reihenfolge auf und bewahr das Blatt gut auf. Sie sind die Wallet: Wer sie hat, hat sie, und ohne sie geht sie mit diesem Gerät verloren.",
		written: "Ich habe sie aufgeschrieben",
		exportHint: "Wer diese Wörter sieht, kann die Wallet nehmen. Sieh dich erst um.",
		show: "Wörter zeigen",
		export: "Wiederherstellungswörter zeigen",
		changePassphrase: "Passphrase ändern",
		unlock: "Entsperren",
		injected: "In diesem Browser installiert",
		embedded: "Auf diesem Gerät behalten",
		embeddedBriefly: "Behalten, bis diese Seite geschlossen wird: Der Browser lässt sie nichts behalten",
		acts: (date) => `Dieser Tab handelt für sie bis ${date}. Jeder Peer kann das prüfen.`,
		publishing: "Dieser Tab handelt für sie; der Raum erfährt es gerade.",
		actsNot: "Dieser Tab handelt nicht für sie.",
		revoked: "Die Wallet hat es zurückgenommen. Dieser Tab handelt nicht mehr für sie.",
		delegate: "Diesen Tab für sie handeln lassen",
		revoke: "Zurücknehmen",
		revokeHint:
			"Peers, die da sind, nehmen diesem Tab binnen Sekunden kein Wort für die Wallet mehr ab, spätere, sobald sie aufgeholt haben, binnen zwei Minuten. Es wieder zu erlauben, braucht eine neue Unterschrift.",
		revokeNow: "Zurücknehmen",
	},

	console: {
		title: "Was der Schwarm tut",
		lede: "Hier steht nur, was Peers von sich veröffentlichen. Diese Seite sieht zu: Sie leiht nichts, fragt nichts, und kein Text geht durch sie.",
		connecting: "Das Netz hinter dieser Seite wird gesucht",
		failed: "Das Netz ist nicht zu erreichen",
		noPeers: "Öffne die Leihseite in einem Tab oder auf einem anderen Gerät, dann erscheint es hier.",
		answers: (count) => of(count, "Antwort", "Antworten"),
		room: {
			title: (room) => `Raum: ${room}`,
			label: "Name eines anderen Raums",
			go: "Dort zusehen",
		},
		sums: {
			lenders: "Peers leihen",
			memory: "Geliehener Speicher",
			free: (size) => `${size} frei`,
			whole: "Modelle ganz da",
			of: (count) => `von ${count}`,
		},
		models: {
			title: "Modelle",
			copies: (least, most) =>
				least === most ? `Jede Schicht ${least}-mal` : `Jede Schicht ${least}- bis ${most}-mal`,
			held: (held, layers) => `${held} von ${layers} Schichten`,
			layers: (count) => of(count, "Schicht", "Schichten"),
			context: (tokens) => `${tokens} Token Kontext`,
		},
		map: {
			title: (name) => `Wer ${name} hält`,
			label: (name, peers) =>
				`Die Schichten von ${name} von links nach rechts, ein Balken für jeden von ${of(peers, "Peer", "Peers")}.`,
			copies: (least, most) =>
				least === most ? `Jede ist ${least}-mal da.` : `Jede ist ${least}- bis ${most}-mal da.`,
			axis: "Schichten nach rechts, Kopien nach oben",
			legend: "Was die Balken bedeuten",
			kinds: {
				serving: "Antwortet gerade",
				idle: "Bereit",
				loading: "Bereitet sich vor",
				missing: "Niemand",
			},
			nobody: "Noch hält niemand eine Schicht davon.",
		},
		why: {
			title: "Warum diese Schichten?",
			more: (count) => `Und ${count} weitere. Wähle einen Peer, um seinen Grund zu sehen.`,
		},
		peers: {
			title: "Peers",
			which: "Welche Peers",
			holding: (name, count) => `Mit Schichten von ${name}: ${count}`,
			all: (count) => `Alle: ${count}`,
			search: "Peer nach seiner Id suchen",
			none: "Niemand hat sich gemeldet.",
			notFound: (what) => `In keiner Id kommt „${what}“ vor.`,
			asks: "Leiht nichts",
			nothing: "Hält noch nichts",
			loading: (span) => `${span} (in Vorbereitung)`,
			others: (count) => (count === 1 ? "Ein anderes Modell" : `${count} andere Modelle`),
			andOthers: (count) => (count === 1 ? "und ein anderes Modell" : `und ${count} andere Modelle`),
			columns: {
				peer: "Peer",
				layers: "Hält",
				speed: "Je Token",
				memory: "Leiht",
				distance: "Abstand",
				streams: "Antworten",
			},
			before: "Zurück",
			after: "Weiter",
			page: (first, last, all) => `${first}–${last} von ${all}`,
		},
		peer: {
			title: (name) => `Peer ${name}`,
			close: "Schließen",
			gone: "Dieser Peer ist nicht da, oder nicht mehr.",
			kind: "Läuft in",
			kinds: { page: "einem Browser-Tab", node: "einem Programm ohne Browser", relay: "einem Relay" },
			since: "Hier seit",
			memory: "Freier Speicher",
			memoryOf: (free, lent) => `${free} von ${lent}`,
			speed: "Tempo durch Gewichte",
			perSecond: (size) => `${size}/s`,
			perToken: (ms) => `${ms} ms je Token`,
			numerics: "Rechnet als",
			connection: "Von dieser Seite aus",
			connected: (path, ms) => (ms === undefined ? path : `${path}, ${ms} ms`),
			paths: {
				direct: "direkt",
				turn: "über einen TURN-Server",
				relayed: "über ein Relay",
				socket: "WebSocket",
			},
			notConnected: "nicht verbunden",
			holds: "Hält",
			stored: "Auf seiner Platte",
			links: "Laufzeiten, die er gemessen hat",
			link: (peer, ms, turn) => `${peer} ${ms} ms${turn ? " (TURN)" : ""}`,
			reason: "Warum",
		},
		streams: {
			title: "Last",
			places: "Belegte Plätze",
			computing: (busy, all) => `${busy} von ${all} Peers antworten gerade`,
			trend: (now, most) => `Belegte Plätze in den letzten fünf Minuten: jetzt ${now}, höchstens ${most}.`,
			busiest: "Die am meisten gefragten Peers",
			quiet: "Gerade wird niemand gefragt.",
			how: "Eine Antwort belegt einen Platz bei jedem Peer ihres Rings. Wer was fragt, wird nirgends veröffentlicht.",
		},
		relay: {
			title: "Das Relay dieser Seite",
			looking: "Es wird gefragt, wie es ihm geht",
			status: { ok: "Läuft", draining: "Hört auf und nimmt niemanden mehr an" },
			answered: "Antwort in",
			distance: "Von Peers aus",
			measured: (peers) => (peers === 1 ? "1 Peer" : `Mitte von ${peers}`),
			sockets: "Offene WebSockets",
			reservations: "Peers, die es vorstellt",
			messages: "Weitergegebene Nachrichten",
			refused: "Abgewiesen",
			memory: "Speicher",
			lag: "Spätester Zeitgeber",
			up: "Läuft seit",
			closed: "Seine Zahlen zeigt es nur seiner eigenen Maschine oder dem, der ihr Token hat.",
		},
		troubles: {
			title: "Fehler",
			none: "Auf dieser Seite ging nichts schief.",
			times: (count) => `${count}-mal`,
			how: "Nur die dieser Seite, und nur bis sie geschlossen wird: Peers veröffentlichen keine Fehler.",
		},
	},

	cannot: {
		title: {
			ask: "Dieser Browser kann hier nicht fragen",
			lend: "Dieser Browser kann hier nicht leihen",
			look: "Dieser Browser kann hier nicht zusehen",
		},
		lacks: {
			secure: {
				what: "Diese Seite kam über unverschlüsseltes HTTP.",
				step: "Schlüssel und Sperren geben Browser nur HTTPS-Seiten. Öffne sie mit https:// davor; geht das nicht, muss ihr Betreiber ihr ein Zertifikat geben.",
			},
			peers: {
				what: "WebRTC fehlt oder ist abgeschaltet, und ohne das können Tabs nicht miteinander reden.",
				step: "In Firefox ist es media.peerconnection.enabled auf about:config. Auch Erweiterungen für Privatsphäre schalten es ab, und dem Tor Browser fehlt es: Nimm dann einen anderen Browser.",
			},
			compute: {
				what: "WebAssembly fehlt oder ist abgeschaltet, und darin werden Schichten gerechnet.",
				step: "Das tut vielleicht eine Sicherheitsstufe oder ein Blockierungsmodus; meist lässt sich eine Seite ausnehmen. In Firefox ist es javascript.options.wasm auf about:config.",
			},
			workers: {
				what: "Dieser Browser hat keine Worker, und in der Seite selbst zu rechnen würde sie einfrieren.",
				step: "Ein neuerer Browser hat sie.",
			},
		},
		askTitle: "Fragen geht trotzdem",
		ask: "Fragen braucht weniger: Andere Geräte rechnen, dieses sendet und zeigt nur Text.",
		askLink: "Frag den Schwarm",
		elsewhereTitle: "Oder nimm einen anderen Browser",
		elsewhere:
			"Aktuelle Versionen von Chrome, Edge und Firefox können alles davon, auf diesem Gerät oder einem anderen.",
		private: "Wer privat fragt, rechnet auf diesem Gerät, und das kann dieser Browser nicht.",
		keepsNothing: "Dieser Browser behält nichts für Seiten, also werden Schichten jedes Mal neu geholt.",
	},

	errors: {
		NoRoute: {
			what: "Die Peers, die da sind, halten zusammen nicht alle Schichten des Modells.",
			steps: ["Öffne die Leihseite in einem weiteren Tab oder warte, bis jemand dazukommt."],
		},
		PromptTooLong: ({ promptTokens, maxPromptTokens }) => ({
			what: `Die Frage hat ${promptTokens} Token; das Modell nimmt höchstens ${maxPromptTokens}.`,
			steps: [
				`Kürze sie um ${Number(promptTokens) - Number(maxPromptTokens)} Token oder beginn ein neues Gespräch.`,
			],
		}),
		EmptyPrompt: { what: "Es gibt nichts fortzusetzen: Die Frage ist leer.", steps: ["Schreib etwas."] },
		StageLost: {
			what: "Ein Gerät, das an dieser Antwort rechnete, ging oder verstummte.",
			steps: ["Frag noch einmal: Dann antworten andere."],
		},
		StageBusy: { what: "Die Peers sind gerade beschäftigt.", steps: ["Versuch es gleich noch einmal."] },
		RouteRefused: {
			what: "Ein Peer bedient nicht, was von ihm verlangt wird.",
			steps: ["Frag noch einmal: Dann wird ein anderer Weg gewählt."],
		},
		RouteViolation: {
			what: "Ein Peer hielt sich nicht an den unterschriebenen Weg.",
			steps: ["Frag noch einmal."],
		},
		TokenChain: {
			what: "Peers sind uneins, was geschrieben wurde: Einer von ihnen lügt.",
			steps: ["Frag noch einmal."],
		},
		Receipt: {
			what: "Eine Quittung stimmt nicht mit dem überein, was geschah.",
			steps: ["Frag noch einmal."],
		},
		InvalidTensor: {
			what: "Ein Peer schickte Zahlen, die keine gültige Rechnung sind.",
			steps: ["Frag noch einmal."],
		},
		ConsentRequired: {
			what: "Ohne deinen Klick rechnet dieses Gerät nichts.",
			steps: ["Drück zuerst „Mitmachen“."],
		},
		InsecureOrigin: {
			what: "Das geht nur über HTTPS.",
			steps: ["Öffne diese Seite über ihre https-Adresse."],
		},
		EngineUnavailable: {
			what: "Dieses Gerät bietet nichts, womit sich das Modell rechnen ließe.",
			steps: ["Aktualisiere den Browser oder nimm einen anderen."],
		},
		WeightFormat: {
			what: "Dieser Prozessor rechnet in einem Gewichtsformat anders als andere.",
			steps: ["Wähle ein anderes Format oder lass Tabmesh wählen."],
		},
		DeviceLost: {
			what: "Die Grafikeinheit war plötzlich weg.",
			steps: ["Tabmesh beginnt von selbst neu. Geschieht es öfter, leih weniger Speicher."],
		},
		ModelNotFound: { what: "Unter diesem Namen gibt es kein Modell.", steps: ["Wähle ein anderes."] },
		ModelSource: {
			what: "Das Modell ließ sich von keiner seiner Quellen laden.",
			steps: ["Ist dieses Gerät online? Versuch es dann noch einmal."],
		},
		ShardIntegrity: {
			what: "Ein Teil des Modells kam verfälscht an und wurde verworfen.",
			steps: ["Versuch es noch einmal: Er wird von anderswo geholt."],
		},
		StorageQuota: {
			what: "Auf diesem Gerät ist kein Platz mehr.",
			steps: ["Lösch unter „Speicher“ etwas oder erlaub mehr."],
		},
		StorageInUse: {
			what: "Das ist gerade in Gebrauch.",
			steps: ["Beende dort zuerst das Leihen oder Lesen."],
		},
		FileNotFound: {
			what: "Niemand, der da ist, hat diese Datei.",
			steps: ["Versuch es später noch einmal."],
		},
		FileFormat: { what: "Diese Bytes ergeben keine Datei.", steps: [] },
		BlockIntegrity: {
			what: "Bytes kamen verfälscht an und wurden verworfen.",
			steps: ["Versuch es noch einmal."],
		},
		InvalidCid: { what: "Das ist keine Inhaltsadresse, die Tabmesh liest.", steps: [] },
		Decryption: {
			what: "Das lässt sich mit diesem Schlüssel nicht öffnen.",
			steps: ["Prüf den ganzen Link."],
		},
		PeerUnreachable: {
			what: "Ein Peer oder das Relay ist nicht zu erreichen.",
			steps: ["Ist dieses Gerät online? Versuch es dann noch einmal."],
		},
		Timeout: { what: "Ein Peer hat nicht rechtzeitig geantwortet.", steps: ["Versuch es noch einmal."] },
		StreamReset: { what: "Eine Verbindung brach mittendrin ab.", steps: ["Versuch es noch einmal."] },
		PeerBanned: {
			what: "Ein Peer hat sich so oft danebenbenommen, dass nichts mehr von ihm angenommen wird.",
			steps: [],
		},
		UnsupportedVersion: {
			what: "Ein Peer spricht eine andere Version von Tabmesh.",
			steps: ["Lade die Seite neu, um die neueste zu haben."],
		},
		KeyStorage: {
			what: "Der Schlüssel dieses Geräts lässt sich weder lesen noch aufbewahren.",
			steps: ["Ein privates Fenster verhindert das vielleicht."],
		},
		Capability: { what: "Mit dieser Einladung stimmt etwas nicht.", steps: ["Bitte um eine neue."] },
		CapabilityTime: {
			what: "Diese Einladung ist abgelaufen oder gilt noch nicht.",
			steps: ["Bitte um eine neue."],
		},
		CapabilityForged: { what: "Diese Einladung ist nicht echt.", steps: ["Bitte um eine neue."] },
		CapabilityRoom: {
			what: "Diese Einladung ist für einen anderen Raum.",
			steps: ["Bitte um eine passende."],
		},
		CapabilityHolder: { what: "Diese Einladung gehört jemand anderem.", steps: ["Bitte um eine eigene."] },
		CapabilityAction: {
			what: "Diese Einladung erlaubt das nicht.",
			steps: ["Bitte um eine weiter gefasste."],
		},
		CapabilityRevoked: { what: "Diese Einladung wurde zurückgenommen.", steps: ["Bitte um eine neue."] },
		DelegationExpired: {
			what: "Die Vollmacht der Wallet ist abgelaufen.",
			steps: ["Lass die Wallet neu unterschreiben."],
		},
		DelegationRevoked: {
			what: "Die Wallet hat ihre Vollmacht zurückgenommen.",
			steps: ["Lass die Wallet neu unterschreiben."],
		},
		DelegationUnchecked: {
			what: "Gerade lässt sich nicht prüfen, ob die Vollmacht gilt.",
			steps: ["Versuch es noch einmal."],
		},
		ChainUnreachable: { what: "Kein Knoten der Chain antwortet.", steps: ["Versuch es später noch einmal."] },
		WrongChain: {
			what: "Die Wallet ist auf einer anderen Chain.",
			steps: ["Wechsle in der Wallet die Chain."],
		},
		WrongPassphrase: { what: "Die Passphrase fehlt oder stimmt nicht.", steps: ["Gib sie noch einmal ein."] },
		RecoveryPhrase: {
			what: "Das sind keine Wiederherstellungswörter.",
			steps: ["Es sind 12, 15, 18, 21 oder 24 englische Wörter: Prüf Schreibweise und Reihenfolge."],
		},
		WalletExists: {
			what: "Hier ist schon eine Wallet.",
			steps: ["Sichere ihre Wörter, bevor du eine andere herbringst."],
		},
		WalletRejected: { what: "Du hast in der Wallet abgelehnt.", steps: [] },
		WalletUnavailable: {
			what: "Die Wallet ist gesperrt, getrennt oder auf einer anderen Chain.",
			steps: ["Öffne die Wallet und versuch es noch einmal."],
		},
	},
};
