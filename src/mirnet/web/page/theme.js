// The theme: the system's, unless somebody chose one here.
"use strict";

const root = document.documentElement;

function setTheme(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
}

setTheme(localStorage.getItem("theme"));

document.addEventListener("DOMContentLoaded", () => {
  const select = document.getElementById("theme");
  select.value = root.dataset.theme ?? "";
  select.addEventListener("change", () => {
    localStorage.setItem("theme", select.value);
    setTheme(select.value);
    document.dispatchEvent(new Event("themechange"));
  });
});
