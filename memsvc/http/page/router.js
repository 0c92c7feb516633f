/** Where the reader is: #/user/sarah/memories?layer=PROFILE. It never leaves the browser. */

/** Returns the path's segments and the parameters behind it. */
export function route() {
	const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
	const segments = path.split("/").filter(Boolean).map(decoded);
	return { path: segments, params: new URLSearchParams(query ?? "") };
}

function decoded(segment) {
	try {
		return decodeURIComponent(segment);
	} catch {
		return segment;
	}
}

/** Returns a link. The namespace goes along unless `params` names another; what is null is left out. */
export function href(path, params = {}) {
	const query = new URLSearchParams();
	const named = { ns: route().params.get("ns"), ...params };
	for (const [name, value] of Object.entries(named)) {
		for (const each of [value].flat()) {
			if (each !== null && each !== undefined && each !== "") query.append(name, each);
		}
	}
	const text = query.toString();
	return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export function navigate(path, params = {}, { replaces = false } = {}) {
	const there = href(path, params);
	if (there === location.hash) return;
	if (replaces) {
		history.replaceState(null, "", there);
		dispatchEvent(new HashChangeEvent("hashchange"));
	} else {
		location.hash = there;
	}
}

/** Returns the parameters of the place where the reader is, with these changes. */
export function here(changes) {
	const { params } = route();
	const kept = {};
	for (const name of params.keys()) kept[name] = params.getAll(name);
	return { ...kept, ...changes };
}

export function setParams(changes, options = {}) {
	navigate(route().path, here(changes), options);
}
