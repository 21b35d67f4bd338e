import { X509Certificate } from "node:crypto";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { InsecureOriginError, InvalidParameterError } from "@tabmesh/wire";
import { type HostName, isLoopback, reachableHosts } from "./listenAddress.ts";

/** What an HTTPS server is started with: PEM texts. */
export interface Certificate {
	readonly cert: string;
	readonly key: string;
	/** True where browsers will warn, because nobody but us vouches for it. */
	readonly selfSigned: boolean;
	/** SHA-256 fingerprint, for a person to compare with what the phone shows. */
	readonly fingerprint: string;
}

export interface CertificateOptions {
	host: HostName;
	/** Path of a PEM certificate (chain). */
	certFile?: string;
	/** Path of its PEM key. */
	keyFile?: string;
	/** Folder that keeps a self-signed certificate between starts, so that a phone has to be told only once. */
	cacheDir?: string;
}

const day = 24 * 60 * 60 * 1000;
/** Apple's limit for server certificates is 825 days for privately trusted ones; a year is asked for elsewhere. */
const selfSignedDays = 365;

async function readPem(path: string, option: string): Promise<string> {
	try {
		return await readFile(path, "utf8");
	} catch (cause) {
		throw new InvalidParameterError(`${option}: the file ${path} cannot be read.`, {
			cause,
			details: { option },
			metaMessages: ["Give the path of a PEM file that this user may read."],
		});
	}
}

function certificateOf(cert: string, option: string): X509Certificate {
	try {
		return new X509Certificate(cert);
	} catch (cause) {
		throw new InvalidParameterError(`${option}: the file holds no PEM certificate.`, {
			cause,
			details: { option },
		});
	}
}

/**
 * A certificate from two PEM files.
 *
 * @throws InvalidParameterError when one is missing or unreadable, they do not belong together, or it has expired
 */
export async function readCertificate(certFile: string, keyFile: string): Promise<Certificate> {
	const [cert, key] = await Promise.all([readPem(certFile, "--tls-cert"), readPem(keyFile, "--tls-key")]);
	const parsed = certificateOf(cert, "--tls-cert");
	try {
		createSecureContext({ cert, key });
	} catch (cause) {
		throw new InvalidParameterError("--tls-key: the file does not hold the PEM key of that certificate.", {
			cause,
			details: { option: "--tls-key" },
		});
	}
	if (Date.parse(parsed.validTo) < Date.now()) {
		throw new InvalidParameterError(`--tls-cert: the certificate expired on ${parsed.validTo}.`, {
			details: { option: "--tls-cert" },
		});
	}
	return { cert, key, selfSigned: false, fingerprint: parsed.fingerprint256 };
}

function covers(cert: X509Certificate, host: HostName): boolean {
	return (isIP(host) === 0 ? cert.checkHost(host) : cert.checkIP(host)) !== undefined;
}

async function selfSigned(hosts: readonly HostName[], cacheDir: string | undefined): Promise<Certificate> {
	const file = cacheDir === undefined ? undefined : join(cacheDir, "tls", "self-signed.pem");
	if (file !== undefined) {
		try {
			const pem = await readFile(file, "utf8");
			const parsed = new X509Certificate(pem);
			const fresh = Date.parse(parsed.validTo) > Date.now() + 7 * day;
			if (fresh && hosts.every((host) => covers(parsed, host))) {
				createSecureContext({ cert: pem, key: pem });
				return { cert: pem, key: pem, selfSigned: true, fingerprint: parsed.fingerprint256 };
			}
		} catch {
			// None yet, or not a certificate any more: a new one replaces it.
		}
	}
	// Twenty megabytes of ASN.1 that a relay on loopback never needs.
	const { generate } = await import("selfsigned");
	const made = await generate([{ name: "commonName", value: "Tabmesh on this machine" }], {
		keyType: "ec",
		curve: "P-256",
		algorithm: "sha256",
		notAfterDate: new Date(Date.now() + selfSignedDays * day),
		extensions: [
			{ name: "basicConstraints", cA: false },
			{ name: "keyUsage", digitalSignature: true, critical: true },
			{ name: "extKeyUsage", serverAuth: true },
			{
				name: "subjectAltName",
				altNames: hosts.map((host) => (isIP(host) === 0 ? { type: 2, value: host } : { type: 7, ip: host })),
			},
		],
	});
	const pem = `${made.cert.trim()}\n${made.private.trim()}\n`;
	if (file !== undefined) {
		await mkdir(join(file, ".."), { recursive: true, mode: 0o700 });
		await writeFile(`${file}.new`, pem, { mode: 0o600 });
		await chmod(`${file}.new`, 0o600);
		await rename(`${file}.new`, file);
	}
	return {
		cert: pem,
		key: pem,
		selfSigned: true,
		fingerprint: new X509Certificate(made.cert).fingerprint256,
	};
}

/**
 * The certificate that a server on `host` needs: none on loopback, which browsers trust as it is; the given files; or
 * a self-signed one, because a phone's browser gives neither WebGPU nor WebCrypto to plain HTTP (W3C Secure Contexts).
 *
 * @throws InvalidParameterError for files that do not fit, InsecureOriginError when a self-signed one cannot be made
 */
export async function obtainCertificate(options: CertificateOptions): Promise<Certificate | undefined> {
	const { certFile, keyFile } = options;
	if (certFile !== undefined && keyFile !== undefined) return readCertificate(certFile, keyFile);
	if (certFile !== undefined || keyFile !== undefined) {
		throw new InvalidParameterError("--tls-cert and --tls-key belong together; one of them is missing.", {
			details: { option: certFile === undefined ? "--tls-cert" : "--tls-key" },
		});
	}
	if (isLoopback(options.host)) return undefined;
	try {
		const hosts = new Set([...reachableHosts(options.host), "127.0.0.1", "localhost"]);
		return await selfSigned([...hosts], options.cacheDir);
	} catch (cause) {
		throw new InsecureOriginError(
			`Listening on ${options.host} needs HTTPS, and no certificate could be made.`,
			{
				cause,
				metaMessages: ["Give one with --tls-cert and --tls-key."],
			},
		);
	}
}

/** What a person does to open a self-signed site on a phone, one line each. */
export function phoneSteps(url: string, certificate: Certificate): string[] {
	return [
		`1. Bring the phone into the same network and open ${url}`,
		"2. The browser warns: the certificate is this machine's own. Choose Advanced, then Proceed (Safari: Show Details, visit this website).",
		`3. To be sure it is this machine, compare the SHA-256 fingerprint: ${certificate.fingerprint.slice(0, 23)}…`,
	];
}
