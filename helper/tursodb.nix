# Turso's own program, as npm has it: what serves a remote. Named by its hash,
# so nothing else can come in its place.
{
  lib,
  stdenv,
  fetchurl,
  autoPatchelfHook,
}:
stdenv.mkDerivation (finalAttrs: {
  pname = "tursodb";
  version = "0.7.0";

  src = fetchurl {
    url = "mirror://npm/@tursodatabase/cli-linux-x64-gnu/-/cli-linux-x64-gnu-${finalAttrs.version}.tgz";
    hash = "sha512-EXv9lKHTXSyeWJcuTBzrWDVBeiltCbg5XEnSkXQpiDjYkyvVab2J+1np6LjASqwxVYTOJvnHX56urk0hasIL9A==";
  };

  nativeBuildInputs = [ autoPatchelfHook ];
  buildInputs = [ stdenv.cc.cc.lib ];

  dontConfigure = true;
  dontBuild = true;
  installPhase = ''
    runHook preInstall
    install -Dm755 tursodb -t $out/bin
    runHook postInstall
  '';

  meta = {
    description = "Turso's command line, with its sync server";
    homepage = "https://github.com/tursodatabase/turso";
    license = lib.licenses.mit;
    mainProgram = "tursodb";
    platforms = [ "x86_64-linux" ];
    sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
  };
})
