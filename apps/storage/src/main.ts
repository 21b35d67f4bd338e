import "@tabmesh/elements/storage";
import "@tabmesh/elements/language";
import "@tabmesh/elements/update";

const element = document.querySelector("tabmesh-storage")!;

// The panel is drawn before the code that reads the store arrives; nothing of the network comes with it.
element.openStorage = async () => {
	const { openStorage } = await import("@tabmesh/client/storage");
	return openStorage();
};
