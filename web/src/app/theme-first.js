// Before the first paint: the theme that was chosen here, if any (theme.ts keeps it).
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage is closed to us: the system's theme, then
}
