// Menus (the macro `menu`): a <details class="menu"> that stays within the window, and closes when one goes on.
const GAP = 4;

const openMenu = () => document.querySelector("details.menu[open]");
const summaryOf = (menu) => menu.querySelector(":scope > summary");
const itemsOf = (menu) => [
  ...menu.querySelectorAll(":scope > .menu-items :is(a[href], button:not(:disabled), input, select)"),
];

// Fixed to the window: a table that scrolls would cut it off.
function place(menu) {
  const items = menu.querySelector(":scope > .menu-items");
  const { right, top, bottom } = summaryOf(menu).getBoundingClientRect();
  items.style.position = "fixed";
  const { offsetWidth: width, offsetHeight: height } = items;
  const fitsBelow = bottom + GAP + height <= innerHeight;
  items.style.right = "auto";
  items.style.left = `${Math.max(GAP, Math.min(right - width, innerWidth - width - GAP))}px`;
  items.style.top = `${fitsBelow ? bottom + GAP : Math.max(GAP, top - height - GAP)}px`;
}

// The focus goes back before what was hidden could take it along: a dialog that opens now gives it back to the menu.
function close(menu) {
  if (menu.contains(document.activeElement)) summaryOf(menu).focus({ preventScroll: true });
  menu.open = false;
}

function onToggle({ target }) {
  if (!target.matches?.("details.menu") || !target.open) return;
  for (const other of document.querySelectorAll("details.menu[open]")) if (other !== target) other.open = false;
  place(target);
}

function onPress({ target }) {
  const menu = openMenu();
  if (menu && !menu.contains(target)) menu.open = false;
}

function onClick({ target }) {
  const menu = openMenu();
  if (menu && target instanceof Element && target.closest(".menu-items :is(a, button)")) close(menu);
}

function onLeave({ target, relatedTarget }) {
  const menu = target instanceof Element && target.closest("details.menu[open]");
  if (menu && relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
}

function onKey(event) {
  const menu = event.target instanceof Element && event.target.closest("details.menu");
  if (!menu) return;
  if (event.key === "Escape" && menu.open) close(menu);
  else if (!walk(menu, event)) return;
  event.preventDefault();
  event.stopPropagation();
}

function walk(menu, { key, target }) {
  if (target.matches("input, select") || !["ArrowDown", "ArrowUp", "Home", "End"].includes(key)) return false;
  if (!menu.open && key !== "ArrowDown") return false;
  menu.open = true;
  const items = itemsOf(menu);
  const here = items.indexOf(target);
  const next = { ArrowDown: here + 1, ArrowUp: here < 0 ? items.length - 1 : here - 1, Home: 0, End: items.length - 1 };
  items.at(next[key] % items.length)?.focus();
  return true;
}

function replace() {
  const menu = openMenu();
  if (menu) place(menu);
}

document.addEventListener("toggle", onToggle, true);
document.addEventListener("pointerdown", onPress, true);
document.addEventListener("click", onClick, true);
document.addEventListener("focusout", onLeave);
document.addEventListener("keydown", onKey);
document.addEventListener("scroll", replace, true);
addEventListener("resize", replace);
replace(); // it may be open already
