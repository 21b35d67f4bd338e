/** The words of Tabmesh's own pages that stand in their HTML, by what they are in English. */
export const pages: Readonly<Record<string, string>> = {
	"Skip to the page": "Zum Inhalt",
	Pages: "Seiten",
	Ask: "Fragen",
	Lend: "Leihen",
	Storage: "Speicher",
	Console: "Konsole",
	Tabmesh: "Tabmesh",
	"Ask · Tabmesh": "Fragen · Tabmesh",
	"Lend · Tabmesh": "Leihen · Tabmesh",
	"Storage · Tabmesh": "Speicher · Tabmesh",
	"Console · Tabmesh": "Konsole · Tabmesh",
	"One model, many tabs.": "Ein Modell, viele Tabs.",
	"One model, many tabs. Nothing runs here before you join.":
		"Ein Modell, viele Tabs. Hier läuft nichts, bevor du mitmachst.",
	"One model, many tabs. This page looks at your device only and joins nothing.":
		"Ein Modell, viele Tabs. Diese Seite sieht nur dein Gerät an und tritt nirgends bei.",
	"One model, many tabs. This page only looks on.": "Ein Modell, viele Tabs. Diese Seite sieht nur zu.",
	"A language model that lives in browser tabs": "Ein Sprachmodell, das in Browser-Tabs lebt",
	"Each tab holds a few of the model’s layers. A prompt goes round the ring they form, and a word comes out with every lap: no server computes it, and nobody needs the whole model.":
		"Jeder Tab hält einige Schichten des Modells. Eine Frage geht durch den Ring, den sie bilden, und mit jeder Runde kommt ein Wort heraus: Kein Server rechnet, und niemand braucht das ganze Modell.",
	"Ask the swarm": "Frag den Schwarm",
	"Lend this tab": "Leih diesen Tab",
	"Five tabs form a ring around one model; you are at the top.":
		"Fünf Tabs bilden einen Ring um ein Modell; du bist oben.",
	"Open a tab, and you are in": "Tab öffnen, schon bist du dabei",
	"No account and nothing to install. Lending starts with a click and stops with another.":
		"Kein Konto, nichts zu installieren. Leihen beginnt mit einem Klick und endet mit einem.",
	"Tabs talk to each other": "Tabs reden miteinander",
	"A small relay introduces them and steps aside. What is computed travels directly, over WebRTC.":
		"Ein kleines Relay stellt sie einander vor und tritt zur Seite. Gerechnetes geht direkt von Tab zu Tab, über WebRTC.",
	"Who computes can read along": "Wer rechnet, kann mitlesen",
	"The peers with the first and last layers see the text. Write nothing here that is secret.":
		"Die Peers mit den ersten und letzten Schichten sehen den Text. Schreib hier nichts, was geheim ist.",
	"Nothing is here": "Hier ist nichts",
	"Nothing is here · Tabmesh": "Hier ist nichts · Tabmesh",
	"This address leads nowhere on this site. Was it an invitation? Then ask for it again: it may have been cut.":
		"Diese Adresse führt auf dieser Seite nirgendwohin. War es eine Einladung? Dann bitte noch einmal darum: Vielleicht fehlt ein Stück.",
};
