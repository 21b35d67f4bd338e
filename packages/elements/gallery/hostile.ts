/** What a model, or the lender of its last layers, may write to whoever reads it: the scripts of all name themselves in `window.pwned`. */
const many = (count: number, line: (index: number) => string) =>
	Array.from({ length: count }, (_, i) => line(i)).join("");

/** What a script leaves when it runs. */
const run = (name: string) => `(window.pwned=window.pwned||[]).push('${name}')`;

const marks = many(112, (i) => String.fromCharCode(0x300 + i));

const tags = [
	`<script>${run("script")}</script>`,
	`<img src=x onerror="${run("img")}">`,
	`<svg onload="${run("svg")}"><a xlink:href="javascript:${run("xlink")}"><text y=9>x</text></a></svg>`,
	`<svg><style><img src=x onerror=${run("style")}></style></svg>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=${run("mxss")}&gt;">`,
	`<iframe srcdoc="<script>parent.${run("srcdoc")}</script>"></iframe>`,
	`<iframe src="javascript:parent.${run("iframe")}"></iframe>`,
	`<object data="data:text/html,<script>${run("object")}</script>"></object>`,
	`<embed src="javascript:${run("embed")}">`,
	`<body onload="${run("body")}">`,
	`<details open ontoggle="${run("toggle")}"><summary>x</summary></details>`,
	`<video autoplay><source onerror="${run("video")}"></video>`,
	`<input autofocus onfocus="${run("focus")}">`,
	`<form action="javascript:${run("form")}"><button>x</button></form>`,
	`<meta http-equiv="refresh" content="0;url=javascript:${run("meta")}">`,
	`<base href="https://evil.example/">`,
	`<link rel="stylesheet" href="https://evil.example/x.css">`,
	`<style>@import "https://evil.example/x.css"; * { display: none }</style>`,
	`<template><img src=x onerror="${run("template")}"></template>`,
	`<tabmesh-lend onclick="${run("element")}"></tabmesh-lend>`,
	`<a href="javascript:${run("a")}" onclick="${run("click")}" style="position:fixed;inset:0">x</a>`,
	`<!--><img src=x onerror="${run("comment")}">-->`,
	`<![CDATA[<img src=x onerror="${run("cdata")}">]]>`,
	`<?xml-stylesheet href="javascript:${run("xml")}"?>`,
	"{{constructor.constructor('alert(1)')()}} <%= 1 %> ?lit$12345$ <!--?lit$12345$-->",
];

const addresses = [
	`javascript:${run("link")}`,
	`JaVaScRiPt:${run("case")}`,
	`java\tscript:${run("tab")}`,
	`&#106;avascript:${run("entity")}`,
	`&#x6A;&#x61;vascript&colon;${run("entities")}`,
	`%6Aavascript:${run("percent")}`,
	`\u0001javascript:${run("control")}`,
	`vbscript:${run("vb")}`,
	`data:text/html,<script>${run("data")}</script>`,
	`data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+`,
	"file:///etc/passwd",
	"blob:https://evil.example/1",
	"//evil.example/x",
	"/lend?join",
	"\\\\evil.example\\x",
	`view-source:javascript:${run("source")}`,
	"tel:123",
	"ms-settings:privacy",
	`https://good.example@evil.example/" onmouseover="${run("quote")}`,
	`https://evil.example/'onmouseover='${run("single")}`,
];

const links = addresses
	.map(
		(address, i) =>
			`[one](${address}) [two](<${address}>) [three][${i}] ![four](${address}) <${address}> ${address}\n\n[${i}]: ${address}\n`,
	)
	.join("\n");

const row = (cells: number, cell: string) => `${`| ${cell} `.repeat(cells)}|\n`;

/** By what is wrong with it. */
export const hostile: Readonly<Record<string, string>> = {
	tags: tags.join("\n\n"),
	"tags in everything": tags
		.map(
			(tag) =>
				`# ${tag}\n\n> ${tag}\n\n- ${tag}\n\n| ${tag} |\n|---|\n| ${tag} |\n\n**${tag}** \`${tag}\`\n\n\`\`\`${tag}\n${tag}\n\`\`\`\n`,
		)
		.join("\n"),
	links,
	"pictures that call home": many(
		50,
		(i) =>
			`![${i}](https://evil.example/${i}.png "x") [![x](https://evil.example/${i})](https://evil.example)\n`,
	),
	"links that look like another": `[https://bank.example](https://evil.example) [\u202Emoc.knab](https://evil.example) https://b\u0430nk.example <https://xn--bnk-6cd.example>\n`,
	"ten thousand fences": "```js\nx\n```\n".repeat(10_000),
	"a fence in a fence": many(200, (i) => `${"`".repeat(3 + (i % 40))}\n`),
	"one endless fence": `\`\`\`\n${"const x = [1, 2, 3];\n".repeat(20_000)}`,
	"one endless line of code": `\`\`\`\n${"x".repeat(300_000)}\n\`\`\`\n`,
	"a huge table": row(60, "head") + row(60, "---") + row(60, "cell").repeat(600),
	"a table of pipes": `${"|".repeat(20_000)}\n${"|-".repeat(10_000)}\n${"|".repeat(20_000)}`,
	zalgo: `${many(60, (i) => `${String.fromCharCode(97 + (i % 26))}${marks.repeat(8)}`)}\n\n`.repeat(6),
	"one letter with a hundred thousand marks": `a${"\u0301".repeat(100_000)}`,
	"quotes in quotes": `${">".repeat(8_000)} x\n\n${many(60, (i) => `${"> ".repeat(i)}x\n`)}`,
	"lists in lists": many(400, (i) => `${" ".repeat(i * 2)}- x\n`),
	"ten thousand items": many(10_000, (i) => `${i}. item\n`),
	brackets: "[".repeat(30_000),
	"brackets with links": "[a](".repeat(8_000),
	stars: `${"*a ".repeat(8_000)}\n\n${"a**b".repeat(6_000)}\n\n${"_a __b ".repeat(4_000)}`,
	backticks: many(240, (i) => `${"`".repeat(i + 1)} `),
	entities: "&amp;&#0;&#xD800;&#x202E;&NotEqualTilde;".repeat(3_000),
	"words without an end": `${"W".repeat(100_000)}\n\n${"ﷺ".repeat(20_000)}`,
	"lines without an end": "\n".repeat(50_000),
	"turned around": `${"\u202E\u2066\u202D".repeat(5_000)}abc \`\u202Edef\` \u2069 ghi`,
	"broken characters": "\ud83d\ude00\ud83d \udc00\0\uFFFF\uFEFF".repeat(3_000),
	headings: many(3_000, (i) => `${"#".repeat(1 + (i % 6))} ${i}\n`),
};
