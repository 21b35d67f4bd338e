import "@tabmesh/elements/language";

// The guide names the relay that it is read at, ready to be copied.
for (const relay of document.querySelectorAll(".relay")) relay.textContent = location.origin;

const copy = document.querySelector<HTMLButtonElement>(".copy")!;
const code = copy.previousElementSibling!;
copy.addEventListener("click", async () => {
	try {
		await navigator.clipboard.writeText(code.textContent);
		copy.textContent = "Copied";
	} catch {
		// Refused: it is marked, and the keyboard copies it.
		getSelection()?.selectAllChildren(code);
	}
});
