/** Whether there is a Lab: the server marks its pages in development; Vite serves its own there only. */
export const hasLab: boolean =
  import.meta.env.DEV || document.documentElement.hasAttribute("data-lab");
