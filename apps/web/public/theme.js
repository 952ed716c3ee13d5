// Loaded synchronously in the head: a chosen theme stands on the root element before the first paint.
(function () {
  try {
    var theme = localStorage.getItem("plasma-theme");
    if (theme === "light" || theme === "dark") document.documentElement.setAttribute("data-theme", theme);
  } catch {
    // Storage is blocked: the system's theme applies.
  }
})();
