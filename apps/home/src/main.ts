import "@tabmesh/elements/language";
