// For test_interop.py: verifies the tokens of a file with `jose`; prints each subject, or why there is none.
import { readFileSync } from "node:fs";
import { createLocalJWKSet, jwtVerify } from "jose";

for (const { token, jwks, algorithm, issuer, audience } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const options = { issuer, audience, algorithms: [algorithm], typ: "at+jwt", requiredClaims: ["exp", "sub", "jti"] };
  try {
    console.log((await jwtVerify(token, createLocalJWKSet(jwks), options)).payload.sub);
  } catch (error) {
    console.log(error.code);
  }
}
